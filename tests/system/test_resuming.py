"""A run that was cut off at any point ends as the one that never was, bit by bit."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.agents import MEMBERS
from support.short_runs import (
    EVERY_UNIT,
    PHASES,
    SHALLOW,
    SMALL,
    TOY,
    Crash,
    ToyRuns,
    at_call,
    command,
    crash,
    cut_and_resume,
    resume,
    train,
    without_measuring,
    without_waiting,
)
from system.soak.compare import differences

from mppi_zoo.cli import main as run
from mppi_zoo.runs.checkpoint_store import CheckpointStore


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    without_waiting(monkeypatch)
    without_measuring(monkeypatch)


# explore: within the seed phase; pretrain; learn: after the step, before its update; evaluate
CRASHES = [("explore", 23), ("pretrain", 17), ("evaluate", 0), ("learn", 10)]


@pytest.mark.parametrize("member", MEMBERS)
def test_every_member_resumes_exactly(
    tmp_path: Path, toy_run: ToyRuns, monkeypatch: pytest.MonkeyPatch, member: str
) -> None:
    cut_and_resume(monkeypatch, command(tmp_path / "cut", member, TOY, *SMALL), CRASHES)
    assert differences(toy_run(member), tmp_path / "cut") == []


EXACT_TASKS = {
    "dmc:reacher-hard": tuple("--num-envs 3 --steps 60 --param seed_steps=36".split()),
    "gym:Hopper-v5": (
        "--num-envs",
        "2",
        "--steps",
        "48",
        "--param",
        "seed_steps=30",
        "--param",
        "Experiment.past_the_end=@AbsorbingRows()",
        "--async-envs",
    ),
    "dmc:cartpole-swingup": tuple("--steps 34 --param seed_steps=24".split()),
}


@pytest.mark.parametrize("task", EXACT_TASKS)
def test_mujoco_tasks_resume_exactly_within_an_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    # reacher-hard moves the target in the simulator's model, which no physics state holds
    extra = (*EXACT_TASKS[task], "--param", "eval_every=0", *SHALLOW, *EVERY_UNIT)
    train(tmp_path / "whole", "pompc_adaptive_fkl", task, *extra)
    cut = command(tmp_path / "cut", "pompc_adaptive_fkl", task, *extra)
    cut_and_resume(monkeypatch, cut, [("explore", 8), ("pretrain", 12), ("_take", 5)])
    assert differences(tmp_path / "whole", tmp_path / "cut") == []


def test_a_resume_without_a_checkpoint_begins_again(
    tmp_path: Path, toy_run: ToyRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = command(tmp_path / "cut", "bmpc_equiv", TOY, *PHASES, *SHALLOW)
    cut_and_resume(monkeypatch, arguments, [("explore", 20), ("learn", 10)])
    assert differences(toy_run("bmpc_equiv"), tmp_path / "cut") == []
    (manifest,) = (tmp_path / "cut" / "state").glob("*.json")
    assert manifest.stem == "000001"


def test_a_full_replay_that_wraps_resumes_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 80 rows of 2 environments in a ring of 56
    extra = ("--steps", "80", *SMALL[2:], "--param", "replay_capacity=56", "--num-envs", "2")
    train(tmp_path / "whole", "pompc_replay", "toy:point", *extra)
    cut = command(tmp_path / "cut", "pompc_replay", "toy:point", *extra)
    cut_and_resume(monkeypatch, cut, [("_take", 15), ("learn", 50), ("_take", 7)])
    assert differences(tmp_path / "whole", tmp_path / "cut") == []


def test_more_steps_give_the_run_that_was_longer_from_the_start(tmp_path: Path) -> None:
    train(tmp_path / "long", "pompc_replay", "toy:point", *SMALL, "--steps", "90")
    out = train(tmp_path / "short", "pompc_replay", "toy:point", *SMALL)
    assert resume(out, "--steps", "90") == 2
    assert resume(out, "--steps", "90", "--force") == 0
    assert differences(tmp_path / "long", out) == []
    assert (out / "config_until_64.gin").is_file()
    assert resume(out) == 0  # the new configuration is the run's


def test_continue_starts_then_resumes(
    tmp_path: Path, toy_run: ToyRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [*command(tmp_path / "run", "bc_mpc", TOY, *SMALL), "--continue"]
    with monkeypatch.context() as patch:
        at_call(patch, "learn", 48, crash)
        with pytest.raises(Crash):
            run.main(arguments)
    before = CheckpointStore(tmp_path / "run" / "state").open_newest()
    assert before is not None and before.manifest["step"] > 32
    assert run.main(arguments) == 0
    assert differences(toy_run("bc_mpc"), tmp_path / "run") == []
