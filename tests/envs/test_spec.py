"""The observation's spec: derived from a Gymnasium space, kept in run.json, laid out as the
environments flatten it."""

import dataclasses
import json
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from mppi_zoo import envs
from mppi_zoo.core.types import EnvSpec, ObsEntry, ObsSpec
from mppi_zoo.envs.gym import standardise
from mppi_zoo.envs.options import EnvOptions
from mppi_zoo.envs.spec import observation_spec

BOX = spaces.Box(-1.0, 1.0, (2, 2), np.float64)
NESTED = spaces.Dict(
    {
        "arm": spaces.Tuple((spaces.Box(-2.0, 2.0, (3,), np.float32), spaces.Discrete(4))),
        "base": BOX,
    }
)
SPACES = {
    "vector": (spaces.Box(-1.0, 1.0, (5,), np.float32), [("obs", (5,))]),
    "matrix": (BOX, [("obs", (2, 2))]),
    "number": (spaces.Box(0.0, 1.0, (), np.float64), [("obs", ())]),
    "sorted": (
        spaces.Dict({"b": BOX, "a": BOX}),
        [("a", (2, 2)), ("b", (2, 2))],
    ),
    "in order": (
        spaces.Dict([("b", BOX), ("a", spaces.MultiBinary(3))]),
        [("b", (2, 2)), ("a", (3,))],
    ),
    "tuple": (
        spaces.Tuple((BOX, spaces.MultiDiscrete([2, 3]))),
        [("0", (2, 2)), ("1", (5,))],
    ),
    "nested": (
        NESTED,
        [("arm/0", (3,)), ("arm/1", (4,)), ("base", (2, 2))],
    ),
}


class Sampling(gymnasium.Env):
    """Observes a sample of a space, which it keeps."""

    max_episode_steps = 10
    action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    def __init__(self, space):
        self.observation_space = space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.sample = self.observation_space.sample()
        return self.sample, {}


def agent_env(space) -> Any:
    return standardise(Sampling(space), "sampling", envs.EnvOptions())


@pytest.mark.parametrize("name", SPACES)
def test_entries_follow_the_space(name):
    space, entries = SPACES[name]
    obs = observation_spec(space)
    assert [(e.key, e.shape) for e in obs.entries] == entries
    assert obs.shape == (spaces.flatdim(space),) and obs.dtype == "float32"


@pytest.mark.parametrize("name", SPACES)
def test_an_environment_has_the_spec_of_its_space(name):
    space, _ = SPACES[name]
    env = agent_env(space)
    spec = envs.spec_of(env)
    assert spec.obs == observation_spec(space)
    assert env.observation_space.shape == spec.obs.shape == (spec.obs_dim,)
    assert env.observation_space.dtype == spec.obs.dtype


def test_split_finds_the_entries_where_flattening_put_them():
    env = agent_env(NESTED)
    flat, _ = env.reset(seed=3)
    parts = envs.spec_of(env).obs.split(torch.from_numpy(flat))
    sample = env.unwrapped.sample
    assert list(parts) == ["arm/0", "arm/1", "base"]
    np.testing.assert_array_equal(parts["arm/0"], sample["arm"][0])
    np.testing.assert_array_equal(parts["arm/1"], np.eye(4)[sample["arm"][1]])
    np.testing.assert_array_equal(parts["base"], sample["base"].astype(np.float32))


def test_split_keeps_leading_axes():
    obs = torch.arange(2 * 3 * 11.0).view(2, 3, 11)
    parts = observation_spec(NESTED).split(obs)
    assert {key: tuple(part.shape) for key, part in parts.items()} == {
        "arm/0": (2, 3, 3),
        "arm/1": (2, 3, 4),
        "base": (2, 3, 2, 2),
    }
    assert torch.equal(torch.cat([part.flatten(2) for part in parts.values()], -1), obs)


def test_vectors_of_environments_know_the_entries():
    with envs.EpisodeVector("support.custom_envs:DictObs", 2, 1, "train") as vector:
        assert [entry.key for entry in vector.spec.obs.entries] == ["a", "b/0", "b/1"]


def test_an_observation_changed_by_an_outer_wrapper_is_one_vector():
    wrapped = gymnasium.wrappers.FlattenObservation(
        gymnasium.wrappers.FrameStackObservation(agent_env(NESTED), 2)
    )
    assert envs.spec_of(wrapped).obs == ObsSpec.vector(22)


def test_an_environment_spec_without_observation_spec_is_a_vector():
    spec = EnvSpec(3, 1, 200, True)
    assert spec.obs == ObsSpec((3,), "float32", (ObsEntry("obs", (3,)),))
    assert spec == EnvSpec(obs_dim=3, action_dim=1, episode_length=200, episodic=True)
    assert hash(spec) == hash(EnvSpec(3, 1, 200, True))


@pytest.mark.parametrize("name", SPACES)
def test_json_gives_the_same_spec_back(name):
    spec = envs.spec_of(agent_env(SPACES[name][0]))
    record = json.loads(json.dumps(dataclasses.asdict(spec)))
    assert EnvSpec(**record) == spec


def test_the_record_of_an_older_run_still_loads():
    record = {"obs_dim": 2, "action_dim": 2, "episode_length": 25, "episodic": False}
    assert EnvSpec(**record) == envs.spec_of(envs.make("toy:point"))


def test_refusals():
    with pytest.raises(ValueError, match=r"shape \(4,\).*expected obs_dim = 3"):
        EnvSpec(3, 1, 200, obs=ObsSpec.vector(4))
    with pytest.raises(ValueError, match=r"\[2\], 2 in all; expected the entries to fill"):
        ObsSpec((3,), "float32", (ObsEntry("obs", (2,)),))
    with pytest.raises(ValueError, match="expected different keys"):
        ObsSpec((4,), "float32", (ObsEntry("a", (2,)), ObsEntry("a", (2,))))


def custom(name, **options) -> Any:
    return envs.make(f"support.custom_envs:{name}", EnvOptions(**options))


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
