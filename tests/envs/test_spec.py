"""What an agent must know of an environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import pytest

from mppi_zoo import envs
from mppi_zoo.envs.options import EnvOptions

MODULE = "support.custom_envs"


def custom(name, **options) -> Any:
    return envs.make(f"{MODULE}:{name}", EnvOptions(**options))


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
