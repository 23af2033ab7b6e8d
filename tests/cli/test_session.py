"""One process's work on a run: its messages and exit codes, apart from the training itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.short_runs import command

from mppi_zoo.analysis import learning_curve
from mppi_zoo.cli import main as run
from mppi_zoo.envs import EnvironmentFault
from mppi_zoo.runs import outcome
from mppi_zoo.runs.signals import StopSignals
from mppi_zoo.training.health import Diverged
from mppi_zoo.training.trainer import Trainer

SIZES = ("batch_size=4", "seed_steps=10", "eval_every=0", "iterations=1")
QUICK = ["--steps", "12", *(word for size in SIZES for word in ("--param", size))]


@pytest.fixture(autouse=True)
def no_plot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_curve, "plot_learning_curve", lambda folders, path: None)


def loud(out: Path, *extra: str) -> list[str]:
    arguments = command(out, "pompc_replay", "toy:point", *QUICK, *extra)
    arguments.remove("--quiet")
    return arguments


def test_a_run_says_what_it_trains_and_how_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert run.main(loud(out)) == outcome.DONE
    said = capsys.readouterr().out
    assert "pompc_replay on toy:point, seed 1, " in said and f"run folder {out}" in said
    assert "12 steps, " in said and " take about " in said and "learning curve: " in said

    assert run.main(["--resume", str(out), "--no-video"]) == outcome.DONE
    said = capsys.readouterr().out
    assert "resumed at step 12; it is finished: --steps N --force makes it longer" in said
    assert [json.loads(line)["step"] for line in (out / "sessions.jsonl").open()] == [12]

    assert run.main(["--resume", str(out), "--steps", "14", "--force"]) == outcome.DONE
    said = capsys.readouterr().out
    assert "changed since the run began:" in said and "+steps = 14" in said
    assert "resumed at step 12\n" in said


def test_no_curve_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def plot(folders: list[Path], path: Path) -> None:
        raise ValueError("no episode has ended")

    monkeypatch.setattr(learning_curve, "plot_learning_curve", plot)
    monkeypatch.setattr(Trainer, "run", lambda self, between: self.envs.reset())
    assert run.main(loud(tmp_path / "run")) == outcome.DONE
    said = capsys.readouterr().out
    assert "no learning curve: " in said and "no episode has ended" in said


@pytest.mark.parametrize("error", [EnvironmentFault, Diverged, OSError])
def test_a_fault_before_the_first_checkpoint(
    error: type[Exception],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(self: Trainer, between: object) -> None:
        raise error("what went wrong")

    monkeypatch.setattr(Trainer, "run", fail)
    out = tmp_path / "run"
    assert run.main(loud(out)) == outcome.FAULT
    said = capsys.readouterr().err
    assert said == (
        "error: what went wrong\nthere is no checkpoint yet; go on with: "
        f"python -m mppi_zoo.run --resume {out}\n"
    )


def test_a_signal_is_looked_for_between_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    original = StopSignals.check

    def check(self: StopSignals) -> None:
        asked.append(1)
        if len(asked) == 5:
            self.received = "SIGTERM"
        original(self)

    monkeypatch.setattr(StopSignals, "check", check)
    assert run.main(loud(tmp_path / "run")) == outcome.STOPPED
    said = capsys.readouterr().err
    assert "stopped by SIGTERM at step 5, checkpoint " in said and "go on with: " in said
