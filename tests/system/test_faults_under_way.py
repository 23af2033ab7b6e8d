"""Faults while a run is under way: exit code 3, so that a study tries again, and no traceback."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from support import faulty_env
from support.short_runs import (
    SMALL,
    TOY,
    ToyRuns,
    at_call,
    command,
    resume,
    without_measuring,
    without_waiting,
)
from system.soak.compare import differences

from mppi_zoo.cli import main as run
from mppi_zoo.runs.outcome import DONE, FAULT, REFUSED
from mppi_zoo.study import journal
from mppi_zoo.study.grid import RunPlan
from mppi_zoo.study.job import Job

MEMBER, FAULTY = "pompc_adaptive_fkl", "support.faulty_env:Faulty"


@pytest.fixture(autouse=True)
def no_fault_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    without_waiting(monkeypatch)
    without_measuring(monkeypatch)
    faulty_env.set_fault("")


def test_an_append_that_fails(
    tmp_path: Path,
    toy_run: ToyRuns,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As on a full disk: closing fails too, of metrics.csv and of TensorBoard's file."""
    out, before = tmp_path / "run", resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(trainer) -> None:
        size = (trainer.folder / "metrics.csv").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 7, before[1]))
        trainer.options.__dict__["log_every"] = 1  # appends before it writes a checkpoint

    at_call(monkeypatch, "_record_if_due", 1, limit)
    try:
        assert run.main(command(out, MEMBER, TOY, *SMALL)) == FAULT
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    said = capsys.readouterr().err
    assert "File too large" in said and f"--resume {out}" in said and "Traceback" not in said
    monkeypatch.undo()
    without_waiting(monkeypatch)
    assert resume(out) == DONE
    assert differences(toy_run(MEMBER), out) == []


def test_a_run_folder_that_is_moved(
    tmp_path: Path,
    toy_run: ToyRuns,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, moved = tmp_path / "run", tmp_path / "moved"
    with monkeypatch.context() as patch:
        at_call(patch, "advance", 12, lambda trainer: out.is_dir() and out.rename(moved))
        assert run.main(command(out, MEMBER, TOY, *SMALL)) == FAULT
    assert "metrics.csv was deleted, or its folder moved" in capsys.readouterr().err
    assert not out.exists(), "nothing is written where the folder was"
    assert resume(moved) == DONE
    assert differences(toy_run(MEMBER), moved) == []


def test_metrics_that_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        at_call(patch, "advance", 12, lambda trainer: (out / "metrics.csv").unlink(missing_ok=True))
        assert run.main(command(out, MEMBER, TOY, *SMALL)) == FAULT
    said = capsys.readouterr().err
    assert f"{out / 'metrics.csv'} was deleted" in said and "put it back" in said
    assert resume(out) == REFUSED
    assert "metrics.csv has 0 bytes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("exits", "step raised SystemExit: 0"),
        ("raises what is no Exception", "step raised Unusual: a stop of my own"),
        ("terminates", "Does the environment end its episodes at once?"),
    ],
)
def test_an_environment_ends_the_run_by_a_fault(
    tmp_path: Path, kind: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # probes and the first episodes are as they should be, but for the one that never lasts
    faulty_env.set_fault(kind, after=0 if kind == "terminates" else 30)
    assert run.main(command(tmp_path / "run", MEMBER, FAULTY, *SMALL)) == FAULT
    said = capsys.readouterr().err
    assert message in said and "is kept; go on with: python -m" in said


def test_a_worker_that_exits_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faulty_env.set_fault("exits", after=30)
    options = ("--async-envs", "--num-envs", "2")
    assert run.main(command(tmp_path / "run", MEMBER, FAULTY, *SMALL, *options)) == FAULT
    said = capsys.readouterr().err
    assert "step raised SystemExit: 0" in said and "Traceback" not in said


def test_an_environment_that_closes_badly_costs_nothing(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="ClosesBadly: close raised SystemExit: 7"):
        task = "support.faulty_env:ClosesBadly"
        assert run.main(command(tmp_path / "run", MEMBER, task, *SMALL)) == DONE


def test_a_part_with_a_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bug(trainer) -> None:
        raise TypeError("a part's bug")

    at_call(monkeypatch, "learn", 40, bug)
    assert run.main(command(tmp_path / "run", MEMBER, TOY, *SMALL)) == FAULT
    said = capsys.readouterr().err
    assert "error: TypeError: a part's bug (in bug, " in said and "Traceback" not in said
    assert "is kept; go on with: python -m mppi_zoo.run --resume " in said


ONCE = '''
from pathlib import Path
from mppi_zoo.envs.toy import Point

class ExitsOnce(Point):
    """Ends the process that steps it first, and works in the next one."""

    def step(self, action):
        marker = Path(__file__).with_name("seen")
        if self._steps == 20 and not marker.exists():
            marker.touch()
            raise SystemExit(0)
        return super().step(action)
'''


def test_a_study_tries_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "once.py").write_text(ONCE)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}", prepend=":")
    small = [word for word in SMALL if word not in ("--steps", "64")]
    arguments = ("--gin", MEMBER, "--gin", "debug", "--no-video", "--task", "once:ExitsOnce")
    plan = RunPlan("run", (*arguments, "--steps", "64", *small), 64, (MEMBER,), ())
    assert Job(tmp_path / "study", [plan], threads=1, retries=1)() == {"run": DONE}
    events = journal.read(tmp_path / "study", "run")
    ends = [event for event in events if event["event"] == journal.ENDED]
    assert [(end["code"], end["again"]) for end in ends] == [(FAULT, True), (DONE, False)]
