"""The EnvSpec of an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
from gymnasium import spaces

from mppi_zoo.envs.view import EpisodeFacts, leaves

if TYPE_CHECKING:
    from mppi_zoo.core.types import EnvSpec, ObsSpec


def spec_of(env: gymnasium.Env) -> EnvSpec:
    """What an agent must know of ``env``, an environment from ``envs.make``, wrapped or not.

    Raises:
        TypeError: ``env`` does not come from ``envs.make``.
        ValueError: the environment has no time limit.
    """
    try:
        facts = env.get_wrapper_attr("facts")
    except AttributeError:
        facts = None
    if not isinstance(facts, EpisodeFacts):
        raise TypeError(
            f"spec_of got {env}; expected an environment made by envs.make, "
            "which records its action repeat and time limit"
        )
    return build_spec(env.observation_space, env.action_space, facts)


def build_spec(observation_space: Any, action_space: Any, facts: EpisodeFacts) -> EnvSpec:
    """The EnvSpec of 1-D spaces and an environment's facts; errors as in ``spec_of``."""
    # Deferred: the contracts import torch, and environments alone have no need of it.
    from mppi_zoo.core.types import EnvSpec, ObsSpec

    if facts.max_episode_steps is None:
        raise ValueError(
            f"{facts.task} has no time limit, expected one; set EnvOptions.max_episode_steps, "
            "in environment steps before action repeat"
        )
    obs_dim = int(observation_space.shape[0])
    obs = observation_spec(facts.observed)
    if obs.size != obs_dim:  # a wrapper around ``envs.make`` changed the observation
        obs = ObsSpec.vector(obs_dim)
    return EnvSpec(
        obs_dim=obs_dim,
        action_dim=int(action_space.shape[0]),
        episode_length=-(-facts.max_episode_steps // facts.action_repeat),
        episodic=facts.episodic,
        obs=obs,
    )


def observation_spec(space: spaces.Space) -> ObsSpec:
    """The spec of a space's observations after AgentEnv has flattened them.

    The entries of a Dict or Tuple keep its order; Gymnasium sorts a Dict that is made of a plain
    dictionary by key. A part that is encoded in order to be flattened, such as a Discrete
    (one-hot), has the shape of its code.

    Args:
        space: as the environment declares it.
    """
    from mppi_zoo.core.types import ObsEntry, ObsSpec

    entries = tuple(
        ObsEntry(path or "obs", _shape(part), str(part.dtype or "float32"), *_choices(part))
        for path, part in leaves(space)
    )
    return ObsSpec((sum(entry.size for entry in entries),), "float32", entries)


def _shape(space: spaces.Space) -> tuple[int, ...]:
    if isinstance(space, spaces.Box | spaces.MultiBinary):
        return space.shape
    return (spaces.flatdim(space),)


def _choices(space: spaces.Space) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How many values each number of a Discrete or MultiDiscrete has, and the smallest of them."""
    if isinstance(space, spaces.Discrete):
        return (int(space.n),), (int(space.start),)
    if isinstance(space, spaces.MultiDiscrete):
        return tuple(space.nvec.ravel().tolist()), tuple(space.start.ravel().tolist())
    return (), ()
