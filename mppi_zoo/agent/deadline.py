"""Planning against a clock: whether a further stage of a plan is done in time."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Hashable

END = "end"  # what is left to do after the last stage: to choose an action, and bring it over
RARELY_LONGER = 0.97  # share of a stage's last times that are shorter than what is expected of it
REMEMBERED = 64


class Pace:
    """How long the stages of a plan take, learned from those that were made.

    A stage that was never made counts as endless: make some plans without a deadline first. One
    that is left out for want of time is expected to be a little shorter each time, so that a
    machine that was busy for a while is not thought busy for ever.
    """

    def __init__(self) -> None:
        self._times: dict[Hashable, deque[float]] = {}

    def note(self, stage: Hashable, seconds: float) -> None:
        """A stage took so long."""
        self._times.setdefault(stage, deque(maxlen=REMEMBERED)).append(seconds)

    def expected(self, stage: Hashable) -> float:
        """Seconds that a stage will rarely exceed."""
        times = self._times.get(stage)
        if not times:
            return math.inf
        return sorted(times)[math.ceil(RARELY_LONGER * len(times)) - 1]

    def left_out(self, stage: Hashable) -> None:
        """A stage was not begun, since it would have come too late."""
        times = self._times.get(stage, ())
        self._times[stage] = deque((0.98 * seconds for seconds in times), maxlen=REMEMBERED)


class Deadline:
    """Asked after each stage of a plan: whether the next one will be done in time.

    Args:
        pace: what is known of the stages' times; it learns from this plan.
        until: when the action must be there, on the clock.
        clock: seconds.
    """

    def __init__(
        self, pace: Pace, until: float = math.inf, clock: Callable[[], float] = time.perf_counter
    ):
        self.pace, self.until, self.clock = pace, until, clock
        self._begun = clock()

    def __call__(self, made: int) -> bool:
        """Whether to begin the next stage after so many."""
        now = self.clock()
        if made:
            self.pace.note(made, now - self._begun)
        self._begun = now
        if self.until == math.inf:
            return True
        if now + self.pace.expected(made + 1) + self.pace.expected(END) <= self.until:
            return True
        self.pace.left_out(made + 1)
        return False

    def over(self) -> None:
        """The action is there."""
        self.pace.note(END, self.clock() - self._begun)
