"""Gymnasium's registered environments: ``gym:<id>``."""

from __future__ import annotations

import importlib
from typing import Any

import gymnasium
from gymnasium.wrappers import TimeLimit

from mppi_zoo.core.extras import require
from mppi_zoo.envs.matching import unknown_name
from mppi_zoo.envs.options import EnvOptions, refuse_taken
from mppi_zoo.envs.rendering import quiet_gl_import, require_rendering
from mppi_zoo.envs.view import AgentEnv

# Names, without version, of the environments whose ``terminated`` is always False.
NEVER_TERMINATE = frozenset(
    {"Pendulum", "HalfCheetah", "HumanoidStandup", "Pusher", "Reacher", "Swimmer"}
)

# Arguments of gymnasium.make that this package sets itself, and what to use instead.
TAKEN = {
    "id": "--task",
    "max_episode_steps": "EnvOptions.max_episode_steps",
    "render_mode": "the evaluation's video",
    "disable_env_checker": "nothing",
}


def make(name: str, options: EnvOptions, render: bool) -> AgentEnv:
    """The environment of ``gym:<id>`` or ``gym:<module>:<id>``; action repeat 1 unless set.

    Raises:
        ValueError: unknown id, arguments that it does not take, an environment that cannot be made,
            or spaces that cannot be used (see AgentEnv).
        ImportError: no such module, or a simulator that the task needs is not installed.
        RuntimeError: ``render`` of a MuJoCo task where no image can be rendered.
    """
    task, arguments = f"gym:{name}", dict(options.arguments or {})
    refuse_taken(task, arguments, TAKEN)
    module, _, env_id = name.rpartition(":")
    if module:
        _register(module, task)
    check_name(env_id)
    entry_point = str(gymnasium.spec(env_id).entry_point)
    if "mujoco" in entry_point:
        require("train", task, "mujoco")
    if render and "mujoco" in entry_point:
        require_rendering(task)
    try:
        with quiet_gl_import():
            env = gymnasium.make(
                env_id,
                # None keeps the registered limit.
                max_episode_steps=options.max_episode_steps,
                disable_env_checker=True,
                render_mode="rgb_array" if render else None,
                **arguments,
            )
    except ImportError:
        raise
    except Exception as error:
        raise ValueError(_refused(task, arguments, error)) from error
    return standardise(env, task, options)


def names() -> list[str]:
    """All registered ids, whatever their spaces."""
    return list(gymnasium.registry)


def check_name(name: str) -> None:
    """Raise ValueError for an id that is not registered."""
    try:
        gymnasium.spec(name)
    except gymnasium.error.Error as error:
        raise unknown_name("gym id", name, gymnasium.registry) from error


def _register(module: str, task: str) -> None:
    """Import the module that registers a task's environments, as ``gymnasium.make`` does."""
    try:
        importlib.import_module(module)
    except Exception as error:
        raise ImportError(
            f"{task}: importing {module!r}, which registers its environments, failed: "
            f"{type(error).__name__}: {error}; expected an importable module",
            name=module,
        ) from error


def _refused(task: str, arguments: dict[str, Any], error: Exception) -> str:
    given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    return (
        f"{task} could not be made{f' with {given}' if given else ''}: {type(error).__name__}: "
        f"{error}; expected an environment. Arguments are given with --env-arg NAME=VALUE; where "
        "its package does not fit the installed mujoco or gymnasium, the same task may be there "
        "as ep:<id> (docs/environments.md)"
    )


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
