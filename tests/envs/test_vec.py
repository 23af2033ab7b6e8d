"""Vector environments of users, and what reaches the replay where their episodes end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from hypothesis import given
from hypothesis import strategies as st

from mppi_zoo import envs
from mppi_zoo.envs.options import EnvOptions
from mppi_zoo.training.replay import Replay

MODULE = "support.counting_envs"
HORIZON = 2


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))


def played(vector: envs.EpisodeVector, steps: int) -> tuple[Replay, list[float]]:
    """Play as the trainer does; the replay, and the last count of every episode that ended."""
    replay = Replay(vector.spec, 4 * steps * vector.num_envs, HORIZON, vector.num_envs)
    draws, lasts = np.random.default_rng(0), []
    obs = vector.reset()
    for _ in range(steps):
        action = draws.uniform(-1, 1, (vector.num_envs, 1)).astype(np.float32)
        after, reward, terminated, truncated = vector.step(action)
        done, taken = terminated | truncated, vector.taken
        ends = terminated.astype(np.float32)
        one, two, three, four, five = map(torch.from_numpy, (obs, action, reward, ends, after))
        if taken.any():
            lanes = None if taken.all() else taken
            replay.add(one, two, three, four, done, five, None, lanes)
        lasts += after[done, 1].tolist()
        obs = vector.reset(done) if done.any() else after
    return replay, lasts


def check(replay: Replay, lasts: list[float], lengths: list[int]) -> None:
    """Every window is of one episode, its counts go up by one, its rewards are of its steps."""
    batch = replay.sample(4 * len(replay), np.random.default_rng(0))
    episode, count = batch.obs[..., 0], batch.obs[..., 1]
    assert (episode == episode[0]).all()
    assert (count == count[0] + torch.arange(HORIZON + 1)[:, None]).all()
    assert (batch.reward == count[1:]).all()
    assert lasts and set(lasts) <= set(lengths)
    # an episode's last observation is learned from, as the end of its last window
    length = torch.tensor(lengths)[episode[0].long() % len(lengths)]
    last = count[1:] == length
    assert last.any() and (batch.terminated.bool() == (last & (length % 2 == 0))).all()


@pytest.mark.parametrize("mode", [mode.name for mode in AutoresetMode])
@given(lengths=st.lists(st.integers(3, 9), min_size=1, max_size=4), num_envs=st.integers(1, 4))
def test_no_transition_crosses_a_reset(mode: str, lengths: list[int], num_envs: int) -> None:
    """Episodes have the lengths given, in turn; those of even length terminate."""
    options = EnvOptions(arguments={"mode": mode, "lengths": lengths})
    with envs.EpisodeVector(f"vec:{MODULE}:Counting", num_envs, 1, "x", options) as vector:
        check(*played(vector, 40), lengths)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_nor_where_environments_are_copies(asynchronous: bool) -> None:
    task, options = f"{MODULE}:One", EnvOptions(arguments={"lengths": [4, 3, 7]})
    with envs.EpisodeVector(task, 3, 1, "x", options, asynchronous) as vector:
        check(*played(vector, 60), [4, 3, 7])


def test_nor_with_a_pool() -> None:
    pytest.importorskip("envpool", reason="EnvPool is not installed")
    options = EnvOptions(max_episode_steps=5)
    with envs.EpisodeVector("ep:Pendulum-v1", 3, 1, "x", options) as vector:
        replay, lasts = played(vector, 40)
    assert len(lasts) == 3 * 8
    batch = replay.sample(2000, np.random.default_rng(0))
    # an angle moves by its velocity times 0.05 s, and across a reset anywhere
    angle = torch.atan2(batch.obs[..., 1], batch.obs[..., 0])
    moved = torch.remainder(angle[1:] - angle[:-1] + np.pi, 2 * np.pi) - np.pi
    torch.testing.assert_close(moved, 0.05 * batch.obs[1:, :, 2], atol=1e-4, rtol=0)


def test_a_step_that_only_begins_an_episode_is_no_step() -> None:
    options = EnvOptions(arguments={"mode": "NEXT_STEP", "lengths": [3]})
    with envs.EpisodeVector(f"vec:{MODULE}:Counting", 2, 1, "x", options) as vector:
        vector.reset()
        for _ in range(3):
            done = vector.step(np.zeros((2, 1)))[3] | (vector._obs[:, 1] == 3)
        assert done.all() and vector.taken.all()
        vector.reset(done)
        obs, reward, *_ = vector.step(np.zeros((2, 1)))
        assert not vector.taken.any() and not reward.any() and np.isnan(vector.success).all()
        assert obs[:, 1].tolist() == [0.0, 0.0]
        vector.step(np.zeros((2, 1)))
        assert vector.taken.all()


@pytest.mark.parametrize("mode", [mode.name for mode in AutoresetMode])
def test_success_is_that_of_the_last_step(mode: str) -> None:
    options = EnvOptions(arguments={"mode": mode, "lengths": [3]})
    with envs.EpisodeVector(f"vec:{MODULE}:Counting", 2, 1, "x", options) as vector:
        vector.reset()
        told = []
        for _ in range(3):
            vector.step(np.zeros((2, 1)))
            told.append(vector.success.tolist())
        assert told == [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]


def test_tensors_and_dictionaries() -> None:
    options = EnvOptions(arguments={"mode": "SAME_STEP", "lengths": [3, 4], "tensors": True})
    with envs.EpisodeVector(f"vec:{MODULE}:Counting", 2, 1, "x", options) as vector:
        assert [entry.key for entry in vector.spec.obs.entries] == ["episode", "count"]
        check(*played(vector, 40), [3, 4])


def test_a_vector_of_one_is_an_environment() -> None:
    options = EnvOptions(arguments={"mode": "NEXT_STEP", "lengths": [3]})
    env = envs.make(f"vec:{MODULE}:Counting", options)
    for _ in range(2):
        counts = [env.reset()[0][1]]
        while True:
            obs, _, terminated, truncated, _ = env.step(np.zeros(1))
            counts.append(obs[1])
            if terminated or truncated:
                break
        assert counts == [0, 1, 2, 3]
    assert envs.spec_of(env).episode_length == 10


class Modeless(VectorEnv):
    """Does not say what it does at the end of an episode."""

    def __init__(self, num_envs: int, seed: int) -> None:
        self.num_envs, self.metadata = num_envs, {}
        self.single_observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.single_action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)


def not_a_vector(num_envs: int, seed: int) -> Any:
    return 3


def without_seed(num_envs: int) -> Any:
    raise AssertionError


def raises(num_envs: int, seed: int) -> Any:
    raise RuntimeError("no GPU")


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("Modeless", r"autoreset_mode'\] = None; expected one of AutoresetMode.NEXT_STEP, "),
        ("not_a_vector", r"returned 3; expected a gymnasium.vector.VectorEnv"),
        ("without_seed", r"unexpected keyword argument 'seed'; its factory takes \(num_envs"),
        ("raises", r"called with \(num_envs=2, seed=.*raised RuntimeError: no GPU"),
        ("Modless", r"unknown factory .*'Modless'; nearest .*Modeless"),
    ],
)
def test_refusals(factory: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    with pytest.raises(ValueError, match=message):
        envs.EpisodeVector(f"vec:test_vec:{factory}", 2, 1, "x")


def test_what_a_vector_cannot_do_is_refused() -> None:
    task = f"vec:{MODULE}:Counting"
    with pytest.raises(ValueError, match=r"action_repeat = 2: expected 1"):
        envs.make(task, EnvOptions(action_repeat=2))
    with pytest.raises(ValueError, match=r"a vector of environments.*vec:support"):
        envs.make(f"{MODULE}:Counting", EnvOptions(arguments={"num_envs": 2, "seed": 1}))
    with pytest.raises(ValueError, match=r"is a batch by itself"):
        envs.make_vector(task, 2)
    options = EnvOptions(arguments={"mode": "SAME_STEP"})
    with envs.EpisodeVector(task, 2, 1, "x", options) as vector:
        begun = vector.reset()
        np.testing.assert_array_equal(vector.reset(np.array([True, False])), begun)  # just begun
        vector.step(np.zeros((2, 1)))
        with pytest.raises(envs.EnvironmentFault, match=r"\[0\] are within an episode"):
            vector.reset(np.array([True, False]))
        assert (vector.reset(np.array([True, True]))[:, 1] == 0).all()  # but all may be left


@pytest.mark.parametrize("mode", [mode.name for mode in AutoresetMode])
def test_a_resumed_run_begins_new_episodes(mode: str) -> None:
    options = EnvOptions(arguments={"mode": mode, "lengths": [5]})
    task = f"vec:{MODULE}:Counting"
    with envs.EpisodeVector(task, 2, 1, "x", options) as vector:
        assert "the vector environment steps all" in vector.not_restorable()
        vector.reset()
        vector.step(np.zeros((2, 1)))
        state = vector.state_dict()
    one = {**state, "within": np.array([True, False])}  # the other waits for its reset
    for restored, expected in ((state, [True, True]), (one, [True, False])):
        with envs.EpisodeVector(task, 2, 1, "x", options) as vector:
            assert (lost := vector.load_state_dict(restored)).tolist() == expected
            if not lost.all():
                vector.reset(~lost)
            assert (vector.observations()[:, 1] == 0).all()
            assert (vector.step(np.zeros((2, 1)))[0][:, 1] == 1).all() and vector.taken.all()
