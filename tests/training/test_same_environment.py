"""Training a robot: one instance, never moved but in its episodes, no update within them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from support import robot
from support.short_runs import (
    EVERY_UNIT,
    SHALLOW,
    Crash,
    at_call,
    command,
    crash,
    resume,
    without_waiting,
)
from torch import Tensor

from mppi_zoo.cli import main as run
from mppi_zoo.training.evaluation import Episodes
from mppi_zoo.training.same_environment import joined
from mppi_zoo.training.trainer import Trainer

# 40 random steps, which end within the second episode of 25; then 60 planned ones
ROBOT = ["--gin", "env/robot", "--eval-env", "same", "--param", "FixedRate.hz=5000"]
PHASES = ["--steps", "100", "--param", "seed_steps=40", "--param", "eval_every=40"]
LIFE = [*ROBOT, *PHASES, *SHALLOW, "--param", "eval_episodes=2"]


def note_learning(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Trainer.learn

    def learn(self: Trainer, *, pretraining: bool) -> dict[str, Tensor]:
        robot.BUILT[0].events.append("learn")
        return original(self, pretraining=pretraining)

    monkeypatch.setattr(Trainer, "learn", learn)


def test_a_robot_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    robot.BUILT.clear()
    without_waiting(monkeypatch)
    note_learning(monkeypatch)
    arguments = command(tmp_path / "run", "tdmpc2_equiv", "support.robot:Robot", *LIFE)
    assert run.main(arguments) == 0
    (one,) = robot.BUILT  # not two
    assert one.events[:2] == ["reset", "step"] and one.events.count("learn") == 40 + 50
    # pretraining waits for the second episode's end, at step 50, as does the first evaluation; the
    # second, due at step 80, is made at the end, with the updates of the last 25 steps before it
    episode = ["reset", *["step"] * 25]
    evaluation = 4 * episode  # two with the planner, two with the policy
    expected = [*episode, *episode, *["learn"] * 40, *evaluation]
    expected += [*episode, *["learn"] * 25, *episode, *["learn"] * 25, *evaluation]
    assert one.events == expected
    rows = list(csv.DictReader((tmp_path / "run" / "timing.csv").open()))
    names = {value for row in rows for value in row.values()}
    assert {"control_steps", "control_overruns", "longest_overrun_ms"} <= names


@pytest.mark.parametrize(
    ("method", "calls", "first"),
    [("advance", 12, ["reset", "step"]), ("learn", 20, [*["learn"] * 20, "reset"])],
)
def test_a_robots_run_goes_on_where_it_was_or_with_a_new_episode(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    calls: int,
    first: list[str],
) -> None:
    without_waiting(monkeypatch)
    often = EVERY_UNIT
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        at_call(patch, method, calls, crash)
        with pytest.raises(Crash):
            run.main(command(out, "tdmpc2_equiv", "support.robot:Robot", *LIFE, *often))
    robot.BUILT.clear()
    note_learning(monkeypatch)
    assert resume(out, "--import", "support.robot") == 0
    (one,) = robot.BUILT
    assert one.events[: len(first)] == first
    assert one.events.count("reset") == -(-one.events.count("step") // 25)


def test_rounds_are_joined_as_if_side_by_side() -> None:
    def episodes(length: int, start: float) -> Episodes:
        obs = np.full((length + 1, 2, 3), start)
        rewards = np.full((length, 2), start)
        lengths, solved = np.full(2, length), np.zeros((length, 2))
        solved[-1, 1] = 1.0
        ends = np.array([True, False])
        return Episodes(rewards.sum(0), lengths, [], obs, rewards, ends, solved)

    both = joined([episodes(4, 1.0), episodes(2, 5.0)], 3)
    assert both.returns.tolist() == [4, 4, 10] and both.lengths.tolist() == [4, 4, 2]
    assert both.obs.shape == (5, 3, 3) and both.rewards.shape == (4, 3)
    assert both.rewards[:, 2].tolist() == [5, 5, 0, 0] and both.obs[2, 2, 0] == 5
    assert both.terminated.tolist() == [True, False, True]
    assert both.success_rate == both.success_at_end == pytest.approx(1 / 3)
    without = [episodes(4, 1.0), episodes(2, 5.0)._replace(success=None)]
    assert joined(without, 3).success_rate is None


def test_one_environment_and_a_process_of_its_own_do_not_go_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = command(tmp_path / "run", "tdmpc2_equiv", "toy:point", "--eval-env", "same")
    assert run.main([*arguments, "--async-envs"]) == 2
    assert "--eval-env same and --async-envs: expected at most one" in capsys.readouterr().err
