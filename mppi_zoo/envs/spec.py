"""The EnvSpec of an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium

from mppi_zoo.envs.view import EpisodeFacts

if TYPE_CHECKING:
    from mppi_zoo.core.types import EnvSpec


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
            "which alone knows its action repeat and time limit"
        )
    return build_spec(env.observation_space, env.action_space, facts)


def build_spec(observation_space: Any, action_space: Any, facts: EpisodeFacts) -> EnvSpec:
    """The EnvSpec of 1-D spaces and an environment's facts; errors as in ``spec_of``."""
    # Deferred: the contracts import torch, and environments alone have no need of it.
    from mppi_zoo.core.types import EnvSpec

    if facts.max_episode_steps is None:
        raise ValueError(
            f"{facts.task} has no time limit, expected one; set EnvOptions.max_episode_steps, "
            "in environment steps before action repeat"
        )
    return EnvSpec(
        obs_dim=int(observation_space.shape[0]),
        action_dim=int(action_space.shape[0]),
        episode_length=-(-facts.max_episode_steps // facts.action_repeat),
        episodic=facts.episodic,
    )
