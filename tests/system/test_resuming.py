"""A run that was cut off at any point ends as the one that never was, bit by bit."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.agents import MEMBERS
from support.short_runs import (
    EVERY_UNIT,
    OFTEN,
    SMALL,
    Crash,
    at_call,
    command,
    crash,
    cut_and_resume,
    resume,
    steady_clock,
)
from system.soak.compare import differences

from mppi_zoo.cli import main as run
from mppi_zoo.runs.checkpoint_store import CheckpointStore


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process's files are there for the next one without it; only a dying machine needs it."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    steady_clock(monkeypatch)


# explore: within the seed phase; pretrain; learn: after the step, before its update; evaluate
CRASHES = [("explore", 23), ("pretrain", 17), ("evaluate", 0), ("learn", 10)]


@pytest.mark.parametrize("member", MEMBERS)
def test_every_member_resumes_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, member: str
) -> None:
    task = "toy:point-terminating"
    assert run.main(command(tmp_path / "whole", member, task, *SMALL)) == 0
    cut = command(tmp_path / "cut", member, task, *SMALL)
    cut_and_resume(monkeypatch, cut, CRASHES)
    assert differences(tmp_path / "whole", tmp_path / "cut") == []


EXACT_TASKS = {
    "dmc:reacher-hard": ("--num-envs", "3", "--steps", "90"),
    "gym:Hopper-v5": ("--num-envs", "2", "--steps", "90", "--async-envs"),
    "dmc:cartpole-swingup": ("--steps", "90"),
}


@pytest.mark.parametrize("task", EXACT_TASKS)
def test_mujoco_tasks_resume_exactly_within_an_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    # reacher-hard moves the target in the simulator's model, which no physics state holds
    extra = (*EXACT_TASKS[task], "--param", "eval_every=0", *EVERY_UNIT)
    assert run.main(command(tmp_path / "whole", "pompc_adaptive_fkl", task, *extra)) == 0
    cut = command(tmp_path / "cut", "pompc_adaptive_fkl", task, *extra)
    cut_and_resume(monkeypatch, cut, [("explore", 8), ("pretrain", 30), ("_take", 5)])
    assert differences(tmp_path / "whole", tmp_path / "cut") == []


def test_a_resume_without_a_checkpoint_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.main(command(tmp_path / "whole", "bmpc_equiv", "toy:point")) == 0
    cut_and_resume(
        monkeypatch,
        command(tmp_path / "cut", "bmpc_equiv", "toy:point"),
        [("explore", 30), ("learn", 20)],
    )
    assert differences(tmp_path / "whole", tmp_path / "cut") == []
    (manifest,) = (tmp_path / "cut" / "state").glob("*.json")
    assert manifest.stem == "000001"


def test_a_full_replay_that_wraps_resumes_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = ("--param", "replay_capacity=70", "--num-envs", "2", *OFTEN)
    assert run.main(command(tmp_path / "whole", "pompc_replay", "toy:point", *extra)) == 0
    cut = command(tmp_path / "cut", "pompc_replay", "toy:point", *extra)
    cut_and_resume(monkeypatch, cut, [("_take", 29), ("learn", 80), ("_take", 10)])
    assert differences(tmp_path / "whole", tmp_path / "cut") == []


def test_more_steps_give_the_run_that_was_longer_from_the_start(tmp_path: Path) -> None:
    long = ("--steps", "170", "--param", "eval_every=60")
    assert run.main(command(tmp_path / "long", "pompc_replay", "toy:point", *long)) == 0
    out = tmp_path / "short"
    assert run.main(command(out, "pompc_replay", "toy:point", "--param", "eval_every=60")) == 0
    assert resume(out, "--steps", "170") == 2
    assert resume(out, "--steps", "170", "--force") == 0
    assert differences(tmp_path / "long", out) == []
    assert (out / "config_until_120.gin").is_file()
    assert resume(out) == 0  # the new configuration is the run's


def test_continue_starts_then_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = [*command(tmp_path / "run", "bc_mpc", "toy:point", *OFTEN), "--continue"]
    with monkeypatch.context() as patch:
        at_call(patch, "learn", 70, crash)
        with pytest.raises(Crash):
            run.main(arguments)
    before = CheckpointStore(tmp_path / "run" / "state").open_newest()
    assert before is not None and before.manifest["step"] > 60
    assert run.main(arguments) == 0
    assert run.main(command(tmp_path / "whole", "bc_mpc", "toy:point", *OFTEN)) == 0
    assert differences(tmp_path / "whole", tmp_path / "run") == []
