"""Gymnasium's registered environments: ``gym:<id>``."""

from __future__ import annotations

import importlib

import gymnasium
from gymnasium.wrappers import TimeLimit

from mppi_zoo.core.extras import require
from mppi_zoo.envs.matching import unknown_name
from mppi_zoo.envs.options import EnvOptions
from mppi_zoo.envs.rendering import quiet_gl_import, require_rendering
from mppi_zoo.envs.view import AgentEnv

# Names, without version, of the environments whose ``terminated`` is always False.
NEVER_TERMINATE = frozenset(
    {"Pendulum", "HalfCheetah", "HumanoidStandup", "Pusher", "Reacher", "Swimmer"}
)


def make(name: str, options: EnvOptions, render: bool) -> AgentEnv:
    """The environment of ``gym:<id>`` or ``gym:<module>:<id>``; action repeat 1 unless set.

    Raises:
        ValueError: unknown id, or spaces that cannot be used (see AgentEnv).
        ImportError: no such module, or a simulator that the task needs is not installed.
        RuntimeError: ``render`` of a MuJoCo task where no image can be rendered.
    """
    module, _, env_id = name.rpartition(":")
    if module:
        importlib.import_module(module)  # registers its environments, as in gymnasium.make
    try:
        entry_point = str(gymnasium.spec(env_id).entry_point)
    except gymnasium.error.Error as error:
        raise unknown_name("gym id", env_id, gymnasium.registry) from error
    if "mujoco" in entry_point:
        require("train", f"gym:{name}", "mujoco")
    if render and "mujoco" in entry_point:
        require_rendering(f"gym:{name}")
    with quiet_gl_import():
        env = gymnasium.make(
            env_id,
            # None keeps the registered limit.
            max_episode_steps=options.max_episode_steps,
            disable_env_checker=True,
            render_mode="rgb_array" if render else None,
        )
    return standardise(env, f"gym:{name}", options)


def standardise(env: gymnasium.Env, task: str, options: EnvOptions) -> AgentEnv:
    """The AgentEnv of a Gymnasium environment, whose facts are read from the environment itself.

    Closes ``env`` before it raises.

    Raises:
        ValueError: spaces that cannot be used (see AgentEnv).
    """
    episodic = options.episodic
    if episodic is None:
        episodic = bool(getattr(env.unwrapped, "episodic", _registered_episodic(env)))
    try:
        return AgentEnv(
            env,
            task=task,
            action_repeat=options.action_repeat or 1,
            max_episode_steps=time_limit(env),
            episodic=episodic,
        )
    except ValueError:
        env.close()
        raise


def time_limit(env: gymnasium.Env) -> int | None:
    """The strictest time limit found around or in ``env``, in its own steps; None if none is."""
    limits = []
    layer = env
    while isinstance(layer, gymnasium.Wrapper):
        if isinstance(layer, TimeLimit):
            limits.append(layer._max_episode_steps)
        layer = layer.env
    own = getattr(layer, "max_episode_steps", None)
    if own is not None:
        limits.append(int(own))
    return min(limits, default=None)


def _registered_episodic(env: gymnasium.Env) -> bool:
    return env.spec is None or env.spec.name not in NEVER_TERMINATE
