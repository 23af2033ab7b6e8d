"""Runs of seconds for tests, and crashes in the middle of them."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from mppi_zoo.cli import main as run
from mppi_zoo.training.checkpointing import Checkpointer
from mppi_zoo.training.trainer import Trainer

SHORT = ["--gin", "debug", "--no-video", "--quiet"]
# By `steady_clock`, whose seconds are calls: a checkpoint about every sixth unit of training.
OFTEN = ["--param", "TrainingOptions.checkpoint_minutes=0.1"]
EVERY_UNIT = ["--param", "TrainingOptions.checkpoint_minutes=1e-9"]
SMALL = ["--steps", "64", "--param", "seed_steps=32", "--param", "eval_every=32", *OFTEN]


class Crash(BaseException):
    """Ends a run where it stands, as a kill does."""


def command(out: Path, member: str, task: str, *extra: str) -> list[str]:
    """Arguments of a run in ``out``."""
    log = ["--param", "TrainingOptions.log_every=10"]
    return ["--gin", member, *SHORT, *log, "--task", task, "--out", str(out), *extra]


def resume(out: Path, *extra: str) -> int:
    """Go on with a run; the exit code."""
    return run.main(["--resume", str(out), "--quiet", *extra])


def at_call(monkeypatch: pytest.MonkeyPatch, method: str, calls: int, act) -> None:
    """Let ``act(trainer)`` happen at a call of one of the trainer's methods, after so many."""
    original, left = getattr(Trainer, method), [calls]

    def patched(self, *args, **keywords):
        if left[0] == 0:
            act(self)
        left[0] -= 1
        return original(self, *args, **keywords)

    monkeypatch.setattr(Trainer, method, patched)


def steady_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints come after so many units of training, however fast the machine."""
    ticks = itertools.count()
    defaults = (lambda: float(next(ticks)),)
    monkeypatch.setattr(Checkpointer.__init__, "__defaults__", defaults)


def crash(trainer: Trainer) -> None:
    """For ``at_call``."""
    raise Crash


def cut_and_resume(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], crashes: list[tuple[str, int]]
) -> None:
    """Start a run, crash it at each (method, calls) and take it up again, to its end."""
    out = Path(arguments[arguments.index("--out") + 1])
    for number, (method, calls) in enumerate(crashes):
        with monkeypatch.context() as patch:
            at_call(patch, method, calls, crash)
            with pytest.raises(Crash):
                run.main(["--resume", str(out), "--quiet"] if number else arguments)
    assert resume(out) == 0
