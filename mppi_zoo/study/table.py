"""Shows a study's progress: on a terminal a table that is redrawn, in a log a line per change."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table

from mppi_zoo.study.state import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    OVER,
    PAUSED,
    PRUNED,
    QUEUED,
    RUNNING,
    STATES,
    WAITING,
    RunState,
)

COLOURS = {
    RUNNING: "cyan",
    QUEUED: "blue",
    WAITING: "dim",
    PAUSED: "yellow",
    INTERRUPTED: "yellow",
    FAILED: "bold red",
    PRUNED: "magenta",
    FINISHED: "green",
}
REFRESH = 2.0  # s


def summary(states: Sequence[RunState]) -> str:
    """A line such as "2 running, 3 waiting, 7 done; 64 % of their steps"."""
    counts = Counter(state.state for state in states)
    parts = [f"{counts[name]} {name}" for name in STATES if counts[name]]
    done = sum(s.run.steps if s.state == FINISHED else min(s.step, s.run.steps) for s in states)
    total = sum(s.step if s.state == PRUNED else s.run.steps for s in states)
    return f"{', '.join(parts)}; {100 * done // max(total, 1)} % of their steps"


def table(states: Sequence[RunState]) -> Table:
    """A row for each run."""
    result = Table(caption=summary(states), caption_justify="left", box=None, padding=(0, 2, 0, 0))
    result.add_column("run", overflow="fold")
    result.add_column("state", no_wrap=True)
    success = any(state.eval_success is not None for state in states)
    for name in ("step", "of", "steps/s", "return", *(["success"] if success else []), "tries"):
        result.add_column(name, justify="right", no_wrap=True)
    for state in states:
        colour = COLOURS[state.state]
        result.add_row(
            state.run.name,
            f"[{colour}]{state.state}[/{colour}]",
            f"{state.run.steps if state.state == FINISHED else state.step:,}",
            f"{state.run.steps:,}",
            "" if state.speed is None else f"{state.speed:.1f}",
            "" if state.eval_return is None else f"{state.eval_return:.1f}",
            *([_rate(state)] if success else []),
            str(state.attempts or ""),
        )
    return result


def _rate(state: RunState) -> str:
    """The success rate as "75 %"; empty where the environment does not say."""
    return "" if state.eval_success is None else f"{100 * state.eval_success:.0f} %"


def failures(states: Sequence[RunState]) -> str:
    """The exit code and the last lines of the log of each failed run."""
    texts = []
    for state in states:
        if state.state == FAILED:
            code = state.code or 0
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            lines = "\n".join(f"    {line}" for line in state.tail) or "    (its log is empty)"
            texts.append(f"{state.run.name} failed ({how}, {state.attempts} tries):\n{lines}")
    return "\n".join(texts)


class Display:
    """Shows states as they change; enter it while the study runs."""

    def __init__(self, console: Console | None = None):
        self.console = console or Console()
        self._live = Live(console=self.console, auto_refresh=False) if self._terminal else None
        self._before: dict[str, str] = {}
        self._shown = 0.0

    @property
    def _terminal(self) -> bool:
        return self.console.is_terminal

    def __enter__(self) -> Display:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, states: Sequence[RunState]) -> None:
        now = {state.run.name: state.state for state in states}
        changed = [state for state in states if self._before.get(state.run.name) != state.state]
        if self._live is None:
            self._lines(changed, states)
        elif changed or time.monotonic() - self._shown > REFRESH:
            self._live.update(table(states), refresh=True)
            self._shown = time.monotonic()
        self._before = now

    def _lines(self, changed: Sequence[RunState], states: Sequence[RunState]) -> None:
        news = [s for s in changed if self._before or s.state not in (WAITING, *OVER)]
        for state in news:
            steps = f" at step {state.step:,}" if state.step and state.state != FINISHED else ""
            value = "" if state.eval_return is None else f", return {state.eval_return:.1f}"
            value += "" if state.eval_success is None else f", success {_rate(state)}"
            self._print(f"{state.state}: {state.run.name}{steps}{value}")
        if news or not self._before:
            self._print(summary(states))

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
