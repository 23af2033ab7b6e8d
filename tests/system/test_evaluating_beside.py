"""Evaluations on a copy of the process: the same run, bit by bit, whatever cuts it off."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.short_runs import EVERY_UNIT, SHALLOW, TOY, Crash, command, resume, without_waiting
from system.soak.compare import differences

from mppi_zoo.cli import machine
from mppi_zoo.cli import main as run
from mppi_zoo.runs.beside import impossible
from mppi_zoo.runs.signals import Interrupted
from mppi_zoo.training.evaluation import Evaluator
from mppi_zoo.training.evaluations import Evaluations
from mppi_zoo.training.trainer import Trainer

pytestmark = pytest.mark.skipif(bool(impossible()), reason=impossible() or "it can")

# Evaluations at 12, 24, 36, 48, 60 and 68; metrics are recorded while they go on.
RUN = ["--steps", "68", "--param", "seed_steps=32", "--param", "eval_every=12", *SHALLOW]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    without_waiting(monkeypatch)


@pytest.fixture(scope="module")
def in_line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("in_line") / "run"
    assert run.main([*arguments(out), "--no-evaluate-beside"]) == 0
    return out


def arguments(out: Path, *extra: str) -> list[str]:
    return command(out, "tdmpc2_equiv", TOY, *RUN, *extra)


def held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The training goes on for as long as it can before it looks for an evaluation's result."""
    monkeypatch.setattr(Evaluations, "collect", lambda self, state: None)


def examined_here(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The agent steps of the evaluations that this process makes itself, as they begin."""
    begun: list[int] = []
    original = Evaluations._examine

    def examined(self: Evaluations, execution, replay, state):
        begun.append(state.step)
        return original(self, execution, replay, state)

    monkeypatch.setattr(Evaluations, "_examine", examined)
    return begun


def test_numbers_files_and_state_are_the_same(
    tmp_path: Path, in_line: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = examined_here(monkeypatch)
    held_up(monkeypatch)
    assert run.main(arguments(tmp_path / "run", "--evaluate-beside")) == 0
    assert begun == [68]  # the others ran elsewhere
    assert differences(in_line, tmp_path / "run") == []


def test_with_a_busy_core_an_evaluation_runs_in_line(
    tmp_path: Path, in_line: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([True, False, True, False, False])  # whether a core is idle; the last needs none
    monkeypatch.setattr(machine, "core_is_idle", lambda: next(looks))
    monkeypatch.setattr(machine, "evaluates_beside", lambda setup, args, forecast: True)
    here = examined_here(monkeypatch)
    held_up(monkeypatch)
    assert run.main(arguments(tmp_path / "run")) == 0
    assert here == [24, 48, 60, 68]
    assert differences(in_line, tmp_path / "run") == []


def test_a_crash_while_one_is_under_way(
    tmp_path: Path, in_line: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        held_up(patch)
        cut_off(patch, Crash(), at=50)
        with pytest.raises(Crash):
            run.main(arguments(out, "--evaluate-beside", *EVERY_UNIT))
    assert resume(out, "--evaluate-beside") == 0
    assert differences(in_line, out) == []


def test_a_stop_while_one_is_under_way_keeps_the_checkpoint_before_it(
    tmp_path: Path,
    in_line: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        held_up(patch)
        cut_off(patch, Interrupted("SIGTERM"), at=50)
        assert run.main(arguments(out, "--evaluate-beside")) != 0
    assert "stopped by SIGTERM at step 50, checkpoint of step 48" in capfd.readouterr().err
    assert resume(out) == 0  # in line now, since it takes no time
    assert differences(in_line, out) == []


def cut_off(monkeypatch: pytest.MonkeyPatch, by: BaseException, at: int) -> None:
    original = Trainer.advance

    def advance(self: Trainer) -> None:
        if self.state.step == at:
            assert self.evaluations.under_way is not None
            raise by
        original(self)

    monkeypatch.setattr(Trainer, "advance", advance)


def test_an_error_in_one_ends_the_run_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(self: Evaluator, agent, step: int) -> None:
        raise FloatingPointError("of this evaluation")

    monkeypatch.setattr(Evaluator, "policy", fails)
    assert run.main(arguments(tmp_path / "run", "--evaluate-beside")) != 0
    error = capfd.readouterr().err
    assert "of this evaluation" in error and "step 12 is kept" in error


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (("--threads", "2"), "it computes with 2 threads"),
        (("--param", "TrainingOptions.checkpoint_minutes=0"), "there is no checkpoint to repeat"),
    ],
)
def test_refused_where_a_copy_cannot_do_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: tuple[str, ...], reason: str
) -> None:
    code = run.main(arguments(tmp_path / "run", "--evaluate-beside", *extra))
    error = capsys.readouterr().err
    assert code == 2 and "--evaluate-beside: " in error and reason in error
    assert not (tmp_path / "run").exists()
