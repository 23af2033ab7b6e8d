"""The DeepMind Control Suite."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from mppi_zoo import envs
from mppi_zoo.envs import dmc
from mppi_zoo.envs.options import EnvOptions


def rollout(env, seed, steps=5):
    rng = np.random.default_rng(0)
    rows = [env.reset(seed=seed)[0]]
    for _ in range(steps):
        obs, reward, *_ = env.step(rng.uniform(-1, 1, env.action_space.shape))
        rows.append(np.append(obs, reward))
    return np.concatenate(rows)


def test_every_task_resolves():
    suite = dmc._suite()

    assert len(suite.ALL_TASKS) > 40
    for domain, task in suite.ALL_TASKS:
        for name in (f"{domain}-{task}", f"{domain}-{task}".replace("_", "-")):
            assert dmc.resolve(name) == (domain, task)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cup-catch", ("ball_in_cup", "catch")),
        ("finger-turn-hard", ("finger", "turn_hard")),
        ("finger-turn_hard", ("finger", "turn_hard")),
        ("pointmass-easy", ("point_mass", "easy")),
        ("humanoid_CMU-run", ("humanoid_CMU", "run")),
    ],
)
def test_spellings(name, expected):
    assert dmc.resolve(name) == expected


def test_unknown_task_names_the_nearest():
    with pytest.raises(ValueError, match=r"'walker-wlk'; nearest of the \d+: walker-walk"):
        envs.make("dmc:walker-wlk")


@pytest.mark.parametrize(
    ("task", "spec"), [("walker-walk", (24, 6, 500)), ("dog-run", (223, 38, 500))]
)
def test_spec(task, spec):
    env: Any = envs.make(f"dmc:{task}")
    got = envs.spec_of(env)
    assert (got.obs_dim, got.action_dim, got.episode_length) == spec
    assert not got.episodic
    env.close()


def test_adapter_agrees_with_dm_control():
    suite = dmc._suite()

    reference = suite.load("cheetah", "run", task_kwargs={"random": 0})
    reference.task.random.seed(7)
    expected = reference.reset().observation
    env: Any = envs.make("dmc:cheetah-run")
    obs, _ = env.reset(seed=7)
    np.testing.assert_array_equal(
        obs, np.concatenate([np.ravel(v) for v in expected.values()]).astype(np.float32)
    )
    action = np.linspace(-1, 1, 6, dtype=np.float32)
    obs, reward, *_ = env.step(action)
    moments = [reference.step(action) for _ in range(2)]
    assert reward == pytest.approx(sum(float(m.reward) for m in moments), abs=0)
    parts = [np.ravel(v) for v in moments[-1].observation.values()]
    np.testing.assert_array_equal(obs, np.concatenate(parts).astype(np.float32))


@pytest.mark.parametrize("task", ["walker-walk", "finger-turn_easy", "lqr-lqr_6_2"])
def test_reset_seeds_without_rebuilding(task):
    env, other = envs.make(f"dmc:{task}"), envs.make(f"dmc:{task}")
    first = rollout(env, 1)
    assert not np.array_equal(rollout(env, 2), first)
    np.testing.assert_array_equal(rollout(env, 1), first)
    np.testing.assert_array_equal(rollout(other, 1), first)


def test_unseeded_resets_differ():
    one, two = envs.make("dmc:walker-walk"), envs.make("dmc:walker-walk")
    assert not np.array_equal(one.reset()[0], two.reset()[0])
    assert not np.array_equal(one.reset(seed=3)[0], one.reset()[0])


def test_time_limit_truncates():
    env: Any = envs.make("dmc:cartpole-balance")
    env.reset(seed=0)
    ends = [env.step(np.zeros(1))[2:4] for _ in range(500)]
    assert ends[-1] == (False, True)
    assert not any(terminated or truncated for terminated, truncated in ends[:-1])


@pytest.mark.parametrize("limit", [7, 1003])
def test_time_limit_override(limit):
    env: Any = envs.make(
        "dmc:pendulum-swingup", EnvOptions(max_episode_steps=limit, action_repeat=1)
    )
    env.reset(seed=0)
    for step in range(1, limit + 1):
        *_, terminated, truncated, _ = env.step(np.zeros(1))
        assert (terminated, truncated) == (False, step == limit)


def test_discount_zero_terminates():
    env: Any = envs.make("dmc:lqr-lqr_2_1", EnvOptions(max_episode_steps=100))
    assert envs.spec_of(env).episodic
    env.reset(seed=0)
    # At rest at the origin is this task's goal, where it ends with discount 0.
    inner: Any = env.unwrapped
    physics = inner._env.physics
    with physics.reset_context():
        physics.data.qpos[:] = 0.0
        physics.data.qvel[:] = 0.0
    assert env.step(np.zeros(1))[2:4] == (True, False)


def test_lqr_has_no_time_limit_of_its_own():
    with pytest.raises(ValueError, match="max_episode_steps"):
        envs.spec_of(envs.make("dmc:lqr-lqr_2_1"))


def test_actions_are_mapped_to_the_bounds():
    env: Any = envs.make("dmc:quadruped-walk")
    env.reset(seed=0)
    inner: Any = env.unwrapped
    env.step(np.ones(12))
    np.testing.assert_array_equal(inner._env.physics.data.ctrl, inner.action_space.high)
    assert inner.action_space.high.max() > 1.0


def test_terrain_task_resets_without_opengl():
    env: Any = envs.make("dmc:quadruped-escape")
    assert np.isfinite(env.reset(seed=0)[0]).all()


def test_no_warning_and_no_environment_change_without_display():
    code = (
        "import os, warnings; warnings.simplefilter('error'); "
        "[os.environ.pop(k, None) for k in ('MUJOCO_GL', 'DISPLAY')]; "
        "warnings.filterwarnings('ignore', category=DeprecationWarning); "
        "from mppi_zoo import envs; envs.make('dmc:pendulum-swingup'); "
        "print(os.environ.get('MUJOCO_GL'))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "None", result.stderr


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "dm_control", None)
    with pytest.raises(ImportError, match=r"dm_control, which is not installed; .*--no-deps"):
        dmc._suite()
