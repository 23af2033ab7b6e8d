"""Observations, actions, rewards and ends as an agent sees them."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from mppi_zoo import envs
from mppi_zoo.envs.options import EnvOptions

MODULE = "support.custom_envs"


def custom(name, **options) -> Any:
    return envs.make(f"{MODULE}:{name}", EnvOptions(**options))


def test_odd_bounds_reach_the_inner_env_exactly():
    env = custom("OddBounds")
    inner: Any = env.unwrapped
    assert env.action_space.shape == (4,)
    env.reset(seed=0)
    for action, expected in (
        (-np.ones(4), inner.action_space.low),
        (np.ones(4), inner.action_space.high),
        (np.full(4, 50.0), inner.action_space.high),
        (np.full(4, -np.inf), inner.action_space.low),
    ):
        env.step(action)
        np.testing.assert_array_equal(inner.actions[-1], expected)
        assert inner.actions[-1].dtype == np.float32
    env.step(np.zeros(4))
    np.testing.assert_allclose(inner.actions[-1], [[2.0, 0.4], [2.25, 0.3]], rtol=1e-6)


def test_unit_bounds_pass_actions_untouched():
    env = custom("Recorder")
    env.reset(seed=0)
    action = np.array([1e-12, -0.3], np.float32)
    env.step(action)
    np.testing.assert_array_equal(env.unwrapped.actions[-1], action)
    assert env.unwrapped.actions[-1] is not action


def test_bad_actions():
    env = custom("Recorder")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="NaN"):
        env.step(np.array([0.0, np.nan]))
    with pytest.raises(ValueError, match=r"shape \(3,\).*\(2,\)"):
        env.step(np.zeros(3))
    assert env.unwrapped.actions == []


@pytest.mark.parametrize("name", ["DictObs", "TupleObs", "Matrix"])
def test_flattening(name):
    env = custom(name)
    inner: Any = env.unwrapped
    obs, _ = env.reset(seed=3)
    flat: Any = gymnasium.spaces.flatten(inner.observation_space, inner.obs)
    expected = flat.astype(np.float32)
    np.testing.assert_array_equal(obs, expected)
    assert obs.shape == env.observation_space.shape == (envs.spec_of(env).obs_dim,)
    stepped = env.step(np.zeros(2))[0]
    assert stepped.dtype == np.float32 and stepped.shape == obs.shape


def test_observations_do_not_alias_the_env_buffer():
    env = custom("Recorder")
    first, _ = env.reset(seed=0)
    kept = first.copy()
    env.step(np.zeros(2))
    np.testing.assert_array_equal(first, kept)


def test_action_repeat_sums_rewards_and_stops_at_the_end():
    env = custom("TerminatesAtThree", action_repeat=2)
    assert envs.spec_of(env).episode_length == 5
    env.reset(seed=0)
    assert env.step(np.zeros(2))[1:4] == (2.0, False, False)
    assert env.step(np.zeros(2))[1:4] == (1.0, True, False)


def test_time_limit_is_in_environment_steps():
    env = custom("NoLimit", action_repeat=3, max_episode_steps=7)
    assert envs.spec_of(env).episode_length == 3  # the last one cut short
    env.reset(seed=0)
    ends = [env.step(np.zeros(2))[1:4] for _ in range(3)]
    assert ends == [(3.0, False, False), (3.0, False, False), (1.0, False, True)]


def test_gym_time_limit_override():
    env: Any = envs.make("gym:Pendulum-v1", EnvOptions(max_episode_steps=4, action_repeat=2))
    env.reset(seed=0)
    assert [env.step(np.zeros(1))[3] for _ in range(2)] == [False, True]
