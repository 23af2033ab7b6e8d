"""A user's own environment: ``module.path:Factory``."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

import gymnasium
from gymnasium.vector import VectorEnv
from gymnasium.wrappers import TimeLimit

from mppi_zoo.envs.gym import standardise
from mppi_zoo.envs.matching import unknown_name
from mppi_zoo.envs.options import EnvOptions
from mppi_zoo.envs.rendering import rendering_available
from mppi_zoo.envs.view import AgentEnv


def make(task: str, options: EnvOptions, render: bool) -> AgentEnv:
    """The environment that ``module.path:Factory`` builds; action repeat 1 unless set.

    The factory, a class or a function, is called with ``options.arguments``, and with
    ``render_mode`` if it takes one. Optional attributes of the innermost environment: ``episodic``
    (bool, else taken as True), ``max_episode_steps`` (its own time limit, else
    EnvOptions.max_episode_steps), and ``restorable`` (bool, else taken as False: whether an episode
    may be played again, and a few steps played before the first one, in order to find out whether
    that works).

    Raises:
        ImportError: the module cannot be imported.
        ValueError: no such factory in it, one that lacks an argument, raises, or returns no
            gymnasium.Env, or spaces that cannot be used (see AgentEnv).
    """
    arguments = dict(options.arguments or {})
    factory = load(task)
    env = call(factory, task, {**_render_keywords(factory, render, arguments), **arguments})
    if isinstance(env, VectorEnv):
        close_quietly(env)
        raise ValueError(
            f"{task} returned {type(env).__name__}, a vector of environments; expected a single "
            f"gymnasium.Env. Vectors are used as vec:{task}, with a factory of (num_envs, seed)"
        )
    if not isinstance(env, gymnasium.Env):
        raise ValueError(f"{task} returned {env!r}; expected a gymnasium.Env")
    if render and env.render_mode != "rgb_array":
        env.close()
        raise ValueError(
            f"{task} has render_mode {env.render_mode!r}; expected 'rgb_array', to render images. "
            "Let the factory accept render_mode and hand it to the environment"
        )
    if options.max_episode_steps is not None:
        env = TimeLimit(env, options.max_episode_steps)
    agent_env = standardise(env, task, options)
    agent_env.assumed_restorable = False  # it might be a robot
    return agent_env


def load(task: str) -> Callable[..., Any]:
    """The factory that ``module.path:Factory`` names; errors as of :func:`make`."""
    module_name, _, attribute = task.partition(":")
    here = os.getcwd()
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise ImportError(_import_advice(module_name, error, here), name=module_name) from error
    finally:
        if added and here in sys.path:
            sys.path.remove(here)
    factory = module
    for part in attribute.split("."):
        if not hasattr(factory, part):
            public = [n for n in dir(factory) if not n.startswith("_")]
            raise unknown_name(f"factory in module {module_name}:", part, public)
        factory = getattr(factory, part)
    if not callable(factory):
        raise ValueError(f"{task} is {factory!r}; expected a class or function building an env")
    return factory


def _import_advice(module_name: str, error: Exception, here: str) -> str:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing is not None and (module_name + ".").startswith(missing + "."):
        return (
            f"no module {missing!r} for task '{module_name}:...'; expected an importable module, "
            "or one of the suites dmc, ep, gym, hb, hbx, toy, vec. Install it, start from the "
            f"directory that holds it (now {here}), or add that to PYTHONPATH"
        )
    return (
        f"importing module {module_name!r} failed: {type(error).__name__}: {error}. "
        f"Correct it until `python -c 'import {module_name}'` works"
    )


def built(task: str, name: str, arguments: dict[str, Any]) -> Any:
    """What the factory ``module.path:Factory`` gives for these arguments; errors as of ``make``.

    Args:
        name: of the whole task, for messages.
    """
    return call(load(task), name, arguments)


def call(factory: Callable[..., Any], name: str, arguments: dict[str, Any]) -> Any:
    """Call a factory.

    Args:
        name: of the task, for messages.

    Raises:
        ValueError: it does not take these arguments, or raises.
    """
    _refuse_arguments(name, factory, arguments)
    try:
        return factory(**arguments)
    except ImportError:
        raise
    except Exception as error:
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise ValueError(
            f"{name}: its factory, called with ({given}), raised {type(error).__name__}: {error}; "
            "expected an environment (--debug shows where it was raised)"
        ) from error


def close_quietly(env: Any) -> None:
    """Close what a factory gave, if it can be closed; an error there does not matter."""
    with contextlib.suppress(Exception):
        env.close()


def _refuse_arguments(name: str, factory: Callable[..., Any], arguments: dict[str, Any]) -> None:
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # written in C
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise ValueError(
            f"{name}: {error}; its factory takes {signature}. Give arguments with "
            "--env-arg NAME=VALUE, or let them have defaults"
        ) from error


def _render_keywords(
    factory: Callable[..., Any], render: bool, arguments: dict[str, Any]
) -> dict[str, Any]:
    if render and "mujoco" in sys.modules:
        # Chooses the backend for the process, in case the factory's environment needs one.
        rendering_available()
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return {}
    if "render_mode" in arguments:
        raise ValueError("--env-arg render_mode: this package sets it, to film evaluations")
    takes = any(p.name == "render_mode" or p.kind is p.VAR_KEYWORD for p in parameters)
    return {"render_mode": "rgb_array" if render else None} if takes else {}
