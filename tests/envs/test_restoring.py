"""Episodes under way, restored in new environments by playing them again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mppi_zoo import envs

# What differs from task to task is where an episode's state hides: physics, the simulator's model
# (reacher's target, point_mass-hard's gears, quadruped-escape's terrain), or Python objects (the
# maze's stage).
TASKS = [
    "toy:point",
    "dmc:reacher-hard",
    "dmc:point_mass-hard",
    "dmc:finger-turn_hard",
    "dmc:manipulator-bring_ball",
    "dmc:quadruped-escape",
    "dmc:swimmer-swimmer6",
    "hb:h1hand-maze",
    "hb:h1hand-reach",
    "gym:Hopper-v5",
    "gym:Pusher-v5",
    "gym:Pendulum-v1",
]


def play(vector: envs.EpisodeVector, steps: int, seed: int) -> np.ndarray:
    draws, rows = np.random.default_rng(seed), []
    for _ in range(steps):
        actions = draws.uniform(-1, 1, (vector.num_envs, vector.spec.action_dim))
        obs, reward, terminated, truncated = vector.step(actions)
        rows += [obs, reward[:, None]]
        if (terminated | truncated).any():
            rows.append(vector.reset(terminated | truncated))
    return np.concatenate(rows, axis=1)


@pytest.mark.parametrize("task", TASKS)
def test_restored_within_an_episode(task: str) -> None:
    with envs.EpisodeVector(task, 2, 1, "x") as first:
        assert first.step_seconds() == 0
        assert first.not_restorable() == "" and first.step_seconds() > 0
        first.reset()
        play(first, 8, 0)
        first.reset(np.array([False, True]))  # so that the two are at different steps
        play(first, 7, 1)
        state = first.state_dict()
        expected = play(first, 30, 2)
    with envs.EpisodeVector(task, 2, 1, "x") as second:
        assert not second.load_state_dict(state).any()
        np.testing.assert_array_equal(play(second, 30, 2), expected)


def test_restored_in_processes_of_their_own() -> None:
    with envs.EpisodeVector("toy:point", 3, 1, "x") as first:
        first.reset()
        play(first, 8, 0)
        state, expected = first.state_dict(), play(first, 30, 2)
    with envs.EpisodeVector("toy:point", 3, 1, "x", asynchronous=True) as second:
        assert not second.load_state_dict(state).any()
        np.testing.assert_array_equal(play(second, 30, 2), expected)


def test_a_state_is_of_running_episodes_and_as_many_environments() -> None:
    with envs.EpisodeVector("toy:point", 2, 1, "x") as vector:
        with pytest.raises(RuntimeError, match="not within an episode"):
            vector.state_dict()
        vector.reset()
        state: dict[str, Any] = vector.state_dict()
    with envs.EpisodeVector("toy:point", 3, 1, "x") as other:
        with pytest.raises(ValueError, match="has 2 environments; expected 3"):
            other.load_state_dict(state)


def test_unseeded_episodes_are_found_out() -> None:
    with envs.EpisodeVector("support.faulty_env:Unseeded", 1, 1, "x") as vector:
        assert "same seed and actions differed" in vector.not_restorable()
