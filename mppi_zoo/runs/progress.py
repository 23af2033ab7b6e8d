"""Progress of a run: a bar on a terminal, in a log a status line at intervals."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

TRAINING = "training"

# Fields of `update` that have a short label; others appear under their own name.
LABELS = {
    "updates_left": "updates left",
    "episode_return": "return",
    "eval_return": "eval",
    "eval_success": "success",
}

REFRESH = 0.2  # s between two redraws of the bar
FIRST_LINE = 2.0  # s until a log gets its first status line
TRUSTED = 20.0  # s of training for which a forecast counts against the pace that is seen
SMOOTHING = 10.0  # s, time constant of the speed that is shown


class Progress:
    """Shows agent steps done and to do, speed, latest returns and time left.

    The time left is that of a forecast, see :meth:`expect`. Without one it assumes the mean speed
    since training began, evaluations included, and is not shown before, since steps of the seed
    phase take much less time than those of training.

    Args:
        total_steps: agent steps at which the run ends.
        initial: agent steps done before, if the run is resumed.
        quiet: show nothing, not even messages.
        interval: s between two status lines where ``stream`` is not a terminal.
        stream: where to write; the standard output by default.
        clock: monotonic time in s.
    """

    def __init__(
        self,
        total_steps: int,
        initial: int = 0,
        quiet: bool = False,
        *,
        interval: float = 30.0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total_steps = total_steps
        self.step = initial
        self._quiet = quiet
        self._clock = clock
        self._stream = sys.stdout if stream is None else stream
        self._fields: dict[str, Any] = {}
        self._phase = TRAINING
        self._announced: set[str] = set()
        self._rates: dict[str, float] = {}  # agent steps per s, by phase
        self._start = self._mark_time = clock()
        self._mark_step = initial
        self._training_began: tuple[float, int] | None = None
        self._expected: Callable[[int], float] | None = None  # s from an agent step to the end
        self._expected_at = (self._start, initial)
        self._closed = False
        terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._bar = _Bar(self._stream, total_steps) if terminal and not quiet else None
        self._period = REFRESH if self._bar else interval
        first = self._start + min(FIRST_LINE, self._period)
        self._due = math.inf if quiet else first

    def update(self, step: int, **fields: float | None) -> None:
        """Reports the agent steps done; cheap enough to be called at every step.

        Args:
            step: agent steps done so far.
            fields: latest values, shown until replaced: ``episode_return``, ``eval_return``, or
                any other number; None takes a value away.
        """
        self.step = step
        for name, value in fields.items():
            if value is None:
                self._fields.pop(name, None)
            else:
                self._fields[name] = value
        if self._clock() >= self._due:
            self._show(self._clock())

    def expect(self, left: Callable[[int], float]) -> None:
        """Take a forecast: the seconds from an agent step to the end, evaluations included.

        From now on the time left is the forecast's, in training at the pace that was seen so far.
        """
        self._expected, self._expected_at = left, (self._clock(), self.step)

    def phase(self, label: str) -> None:
        """Names what the run does from now on: 'seed phase', 'pretraining', 'evaluating', ..."""
        now = self._clock()
        self._measure(now)
        self._phase = label
        # The time of an evaluation, which has no steps, must not lower the speed of the next phase.
        self._mark_time, self._mark_step = now, self.step
        if label == TRAINING and self._training_began is None:
            self._training_began = now, self.step
        # A log gets a line for a phase only the first time, or evaluations would fill it.
        if not self._quiet and (self._bar or label not in self._announced):
            self._show(now)

    def message(self, text: str) -> None:
        """Prints a line that stays, above the bar."""
        if self._quiet:
            return
        if self._bar and not self._closed:
            self._bar.message(text)
        else:
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Shows the last state and ends the bar; may be called twice."""
        if self._closed:
            return
        if not self._quiet:
            self._show(self._clock())
        if self._bar:
            self._bar.close()
        self._closed = True
        self._due = math.inf

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def status(self) -> dict[str, str]:
        """The texts that are shown now, by name, in the order of display."""
        now = self._clock()
        shown = {"phase": self._phase, "steps": f"{self.step:,}/{self.total_steps:,}"}
        rate = self._rates.get(self._phase)
        shown["speed"] = "" if rate is None else f"{_short(rate)} steps/s"
        shown["fields"] = "  ".join(
            f"{LABELS.get(name, name)} {_short(float(value))}"
            for name, value in self._fields.items()
        )
        shown["elapsed"] = _duration(now - self._start)
        left = self._seconds_left(now)
        shown["left"] = "" if left is None else f"{_duration(left)} left"
        return shown

    def _measure(self, now: float) -> None:
        steps, seconds = self.step - self._mark_step, now - self._mark_time
        if steps <= 0 or seconds <= 0:
            return
        if self._phase == TRAINING and self._training_began is None:
            self._training_began = self._mark_time, self._mark_step
        old = self._rates.get(self._phase, steps / seconds)
        weight = math.exp(-seconds / SMOOTHING)
        self._rates[self._phase] = weight * old + (1 - weight) * steps / seconds
        self._mark_time, self._mark_step = now, self.step

    def _seconds_left(self, now: float) -> float | None:
        if self._expected is not None:
            return self._forecast_left(self._expected, now)
        if self._training_began is None:
            return None
        began, first = self._training_began
        if self.step <= first:
            return None
        return max(0, self.total_steps - self.step) * (now - began) / (self.step - first)

    def _forecast_left(self, expected: Callable[[int], float], now: float) -> float:
        if self._training_began is None:
            begun, first = self._expected_at
            return max(0.0, expected(first) - (now - begun))
        begun, first = self._training_began
        passed = expected(first) - expected(self.step)
        pace = (now - begun + TRUSTED) / (passed + TRUSTED)
        return expected(self.step) * pace

    def _show(self, now: float) -> None:
        self._measure(now)
        self._announced.add(self._phase)
        self._due = now + self._period
        shown = self.status()
        if self._bar:
            self._bar.show(self.step, shown)
            return
        percent = 100 * self.step // max(1, self.total_steps)
        steps = f"{shown['steps']} steps ({percent}%)"
        elapsed = f"{shown['elapsed']} elapsed"
        parts = (steps, shown["speed"], shown["fields"], elapsed, shown["left"])
        line = f"[{self._phase}] " + " | ".join(part for part in parts if part)
        print(line, file=self._stream, flush=True)


class _Bar:
    """The rich progress bar; drawn only when told to, so that no thread disturbs training."""

    def __init__(self, stream: TextIO, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self._progress = RichProgress(
            TextColumn("[bold]{task.fields[phase]:<10}", markup=True),
            BarColumn(bar_width=None),
            *(
                TextColumn("{task.fields[" + name + "]}", style=style, markup=False)
                for name, style in (
                    ("steps", ""),
                    ("speed", "cyan"),
                    ("fields", "green"),
                    ("left", "dim"),
                )
            ),
            console=Console(file=stream, force_terminal=True),
            auto_refresh=False,
            expand=True,
        )
        blank = dict.fromkeys(("phase", "steps", "speed", "fields", "left"), "")
        self._task = self._progress.add_task("", total=total, **blank)
        self._progress.start()

    def show(self, step: int, shown: dict[str, str]) -> None:
        self._progress.update(self._task, completed=step, refresh=True, **shown)  # type: ignore

    def message(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        self._progress.stop()


def _short(value: float) -> str:
    """A number in about four digits."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 or value == 0 else f"{value:.2f}"


def _duration(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
