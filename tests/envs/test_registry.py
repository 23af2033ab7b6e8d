"""From a task's name to its environment, or to a message that mends the name."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from mppi_zoo import envs

HERE = Path(__file__).parent
MODULE = "support.custom_envs"


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))


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
        (f"{MODULE}:not_an_env", ValueError, ["returned 3", "gymnasium.Env"]),
        (f"{MODULE}:Pixels", ValueError, ["pixels", "uint8"]),
        (f"{MODULE}:Unbounded", ValueError, ["inf", "RescaleAction", "Unbounded"]),
    ],
)
def test_errors_say_how_to_mend(task, error, words):
    with pytest.raises(error) as caught:
        envs.make(task)
    for word in words:
        assert word in str(caught.value)


def test_every_suite_module_makes():
    from mppi_zoo.envs.registry import SUITES

    assert all(callable(importlib.import_module(m).make) for m in SUITES.values())
