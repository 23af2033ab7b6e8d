"""Names, spaces and actions of ``envs.make``."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import gin
import gymnasium
import numpy as np
import pytest

from mppi_zoo import envs
from mppi_zoo.envs.options import EnvOptions

HERE = Path(__file__).parent
MODULE = "support.custom_envs"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))


def custom(name, **options) -> Any:
    return envs.make(f"{MODULE}:{name}", EnvOptions(**options))


def test_import_loads_no_simulator():
    code = (
        "import sys, mppi_zoo.envs; "
        "print([m for m in ('mujoco', 'dm_control', 'gymnasium.envs.mujoco', 'glfw') "
        "if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.parametrize(
    ("task", "spec"),
    [
        ("toy:point", (2, 2, 25, False)),
        ("toy:point-terminating", (2, 2, 25, True)),
        ("gym:Pendulum-v1", (3, 1, 200, False)),
        ("gym:HalfCheetah-v5", (17, 6, 1000, False)),
        ("gym:Hopper-v5", (11, 3, 1000, True)),
        ("gym:MountainCarContinuous-v0", (2, 1, 999, True)),
    ],
)
def test_spec(task, spec):
    env: Any = envs.make(task)
    got = envs.spec_of(env)
    assert (got.obs_dim, got.action_dim, got.episode_length, got.episodic) == spec
    assert env.action_space == gymnasium.spaces.Box(-1.0, 1.0, (spec[1],), np.float32)
    obs, _ = env.reset(seed=0)
    assert obs in env.observation_space and obs.dtype == np.float32
    env.close()


def test_never_terminating_names_exist():
    from mppi_zoo.envs.gym import NEVER_TERMINATE

    assert {s.name for s in gymnasium.registry.values()} >= NEVER_TERMINATE


@pytest.mark.parametrize(
    ("task", "error", "words"),
    [
        ("walker-walk", ValueError, ["dmc", "gym", "toy", "module.path:Factory"]),
        ("toy:", ValueError, ["<suite>:<name>"]),
        ("toy:pont", ValueError, ["'pont'", "point-terminating"]),
        ("gym:HalfCheeta-v5", ValueError, ["'HalfCheeta-v5'", "HalfCheetah-v5", "nearest of the"]),
        ("gym:Pendulum-v77", ValueError, ["Pendulum-v1"]),
        ("gym:no spaces allowed", ValueError, ["no spaces allowed"]),
        ("gym:CartPole-v1", ValueError, ["gym:CartPole-v1", "Discrete(2)", "continuous variant"]),
        ("no_such_module:Env", ImportError, ["no_such_module", "PYTHONPATH", "dmc"]),
        (f"{MODULE}:OddBound", ValueError, ["OddBounds"]),
        (f"{MODULE}:not_an_env", TypeError, ["returned 3", "gymnasium.Env"]),
        (f"{MODULE}:Pixels", ValueError, ["pixels", "uint8"]),
        (f"{MODULE}:Unbounded", ValueError, ["inf", "RescaleAction", "Unbounded"]),
    ],
)
def test_errors_say_how_to_mend(task, error, words):
    with pytest.raises(error) as caught:
        envs.make(task)
    for word in words:
        assert word in str(caught.value)


def test_module_that_fails_to_import(tmp_path, monkeypatch):
    (tmp_path / "broken_env.py").write_text("import a_missing_dependency\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImportError, match="'broken_env' failed.*a_missing_dependency"):
        envs.make("broken_env:Env")


def test_module_in_current_directory(tmp_path, monkeypatch):
    source = "from mppi_zoo.envs.toy import Point\ndef build(): return Point(episode_steps=7)\n"
    (tmp_path / "local_env_module.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert envs.spec_of(envs.make("local_env_module:build")).episode_length == 7
    assert sys.path == before


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


def test_missing_time_limit():
    with pytest.raises(ValueError, match="EnvOptions.max_episode_steps"):
        envs.spec_of(custom("NoLimit"))


def test_spec_of_foreign_env():
    with pytest.raises(TypeError, match="envs.make"):
        envs.spec_of(gymnasium.make("Pendulum-v1"))


def test_spec_of_a_wrapped_env():
    wrapped = gymnasium.wrappers.RecordEpisodeStatistics(envs.make("toy:point"))
    assert envs.spec_of(wrapped).episode_length == 25


def test_episodic():
    assert envs.spec_of(custom("Recorder")).episodic
    assert not envs.spec_of(custom("Continuing")).episodic
    assert envs.spec_of(custom("Continuing", episodic=True)).episodic
    assert not envs.spec_of(envs.make("gym:Hopper-v5", EnvOptions(episodic=False))).episodic


@pytest.mark.parametrize("field", ["action_repeat", "max_episode_steps"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_bad_options(field, value):
    with pytest.raises(ValueError, match=f"{field} is {value!r}"):
        EnvOptions(**{field: value})


def test_options_are_bound_by_gin():
    with gin.unlock_config():
        gin.parse_config("EnvOptions.action_repeat = 4\nEnvOptions.episodic = True")
        options = gin.get_configurable("EnvOptions")()
        gin.clear_config()
    assert options == EnvOptions(action_repeat=4, episodic=True)
    assert envs.spec_of(envs.make("toy:point", options)).episode_length == 7


def test_rendering_of_a_custom_env():
    env: Any = envs.make(f"{MODULE}:Recorder", render=True)
    env.reset(seed=0)
    assert env.render().shape == (4, 4, 3)
    with pytest.raises(ValueError, match="render_mode"):
        envs.make(f"{MODULE}:OddBounds", render=True)


def test_every_suite_module_makes():
    from mppi_zoo.envs.registry import SUITES

    assert all(callable(importlib.import_module(m).make) for m in SUITES.values())


@pytest.mark.parametrize("task", ["toy:point", "toy:point-terminating"])
def test_toy_optimum(task):
    env: Any = envs.make(task, render=True)
    inner: Any = env.unwrapped
    for seed in range(3):
        obs, _ = env.reset(seed=seed)
        np.testing.assert_array_equal(obs, env.reset(seed=seed)[0])
        total, steps, over = 0.0, 0, False
        while not over:
            obs, reward, terminated, truncated, _ = env.step(inner.optimal_action(obs))
            total, steps, over = total + reward, steps + 1, terminated or truncated
        assert steps == 25 and truncated and not terminated
        assert total == pytest.approx(inner.optimal_return, abs=1e-9)
    assert env.render().shape == (64, 64, 3)


def test_toy_terminates_outside_the_square():
    env: Any = envs.make("toy:point-terminating")
    env.reset(seed=0)
    for _ in range(10):
        obs, reward, terminated, truncated, _ = env.step(np.ones(2))
        assert reward < 1.0
        if terminated:
            break
    assert terminated and not truncated and np.abs(obs).max() > 1.0
