"""Runs of seconds for tests, and crashes in the middle of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from matplotlib.figure import Figure

from mppi_zoo.cli import acceleration
from mppi_zoo.cli import main as run
from mppi_zoo.training.checkpointing import Checkpointer
from mppi_zoo.training.throughput import Speed
from mppi_zoo.training.trainer import Trainer

DRAW = Figure.savefig
SHORT = ["--gin", "debug", "--no-video", "--quiet"]
# By `steady_clock`, whose seconds are calls: a checkpoint about every sixth unit of training.
OFTEN = ["--param", "TrainingOptions.checkpoint_minutes=0.1"]
EVERY_UNIT = ["--param", "TrainingOptions.checkpoint_minutes=1e-9"]
# 32 random steps, as many updates of pretraining, 32 steps with one update each, two evaluations.
PHASES = ["--steps", "64", "--param", "seed_steps=32", "--param", "eval_every=32"]
# No behaviour under test depends on these two; plans and updates take half as long.
SHALLOW = ["--param", "iterations=1", "--param", "horizon=2"]
SMALL = [*PHASES, *SHALLOW, *OFTEN]
TOY = "toy:point-terminating"


class Crash(BaseException):
    """Ends a run where it stands, as a kill does."""


def command(out: Path, member: str, task: str, *extra: str) -> list[str]:
    """Arguments of a run in ``out``."""
    log = ["--param", "TrainingOptions.log_every=10"]
    return ["--gin", member, *SHORT, *log, "--task", task, "--out", str(out), *extra]


def train(out: Path, member: str, task: str, *extra: str) -> Path:
    """A short run in ``out``, to its end."""
    assert run.main(command(out, member, task, *extra)) == 0
    return out


def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs do not wait for the disk, draw no plots, and count calls instead of seconds.

    A process's files are there for the next one without fsync; only a machine that dies needs it.
    """
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr(Figure, "savefig", lambda *args, **keywords: None)
    steady_clock(monkeypatch)


def without_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's speed, which only its forecast reads, is taken for known: runs start sooner."""
    speed = Speed(plan=1e-3, update=1e-3, evaluation=1e-3)
    monkeypatch.setattr(acceleration, "measure", lambda *args, **keywords: speed)


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """What ``make`` writes into a folder that all workers share; whoever makes it is waited for."""
    done = folder.with_name(f"{folder.name}.done")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not done.exists():
            make(folder)
            done.touch()
    return folder


class ToyRuns:
    """Runs of members on :data:`TOY` that nothing disturbs, each trained once for all tests.

    Tests read these folders and never write to them.

    Args:
        folder: shared by all processes of one test session.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, member: str) -> Path:
        """The folder of the member's run; another worker that trains it is waited for."""

        def make(out: Path) -> None:
            with pytest.MonkeyPatch.context() as monkeypatch:
                without_waiting(monkeypatch)
                without_measuring(monkeypatch)
                monkeypatch.setattr(Figure, "savefig", DRAW)
                train(out, member, TOY, *SMALL)

        return made_once(self.folder / member, make)


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


def cut(monkeypatch: pytest.MonkeyPatch, arguments: list[str], calls: int = 12) -> None:
    """Start a run and crash it in training; by :data:`SMALL` it has several checkpoints then."""
    with monkeypatch.context() as patch:
        at_call(patch, "advance", calls, crash)
        with pytest.raises(Crash):
            run.main(arguments)


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
