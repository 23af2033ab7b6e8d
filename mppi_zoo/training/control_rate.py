"""At what rate the environments are stepped: as fast as it goes, or by the clock, for a robot."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from mppi_zoo.core.ranges import Positive
from mppi_zoo.core.registration import register


class ControlRate(Protocol):
    """Waits before each step.

    Attributes:
        period: seconds from one step to the next at least.
    """

    period: float

    def begin(self) -> None:
        """An episode begins: its first action is due a period from now."""
        ...

    def wait(self) -> None:
        """The action is chosen: return when it is due."""
        ...

    def lap(self) -> dict[str, float]:
        """For ``timing.csv``: what was counted since the last time."""
        ...


@register
class AsFastAsPossible:
    """No waiting: for simulations."""

    period = 0.0

    def begin(self) -> None:
        """See :class:`ControlRate`."""

    def wait(self) -> None:
        """See :class:`ControlRate`."""

    def lap(self) -> dict[str, float]:
        """Nothing is counted."""
        return {}


@register
class FixedRate:
    """A step each period; an action that comes late is executed at once and counted as an overrun.

    After an overrun the next action is due a period later: lost time is not made up for.

    Args:
        hz: steps a second.
        clock: seconds.
        sleep: waits for so many seconds.

    Attributes:
        steps, overruns: so far.
        longest: seconds by which the latest of the overruns came late.
    """

    def __init__(
        self,
        hz: Positive,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], object] = time.sleep,
    ):
        self.period, self.clock, self.sleep = 1 / hz, clock, sleep
        self.steps = self.overruns = 0
        self.longest = 0.0
        self._noted = (0, 0)
        self._due = clock() + self.period

    def begin(self) -> None:
        """See :class:`ControlRate`."""
        self._due = self.clock() + self.period

    def wait(self) -> None:
        """See :class:`ControlRate`."""
        left = self._due - self.clock()
        self.steps += 1
        if left >= 0:
            self.sleep(left)
            self._due += self.period
        else:
            self.overruns += 1
            self.longest = max(self.longest, -left)
            self._due = self.clock() + self.period

    def lap(self) -> dict[str, float]:
        """Steps and overruns since the last time, and the longest overrun since."""
        before, self._noted = self._noted, (self.steps, self.overruns)
        told = {
            "control_steps": float(self.steps - before[0]),
            "control_overruns": float(self.overruns - before[1]),
            "longest_overrun_ms": 1e3 * self.longest,
        }
        self.longest = 0.0
        return told
