"""A user's own environment: ``module.path:Factory``."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

import gymnasium
from gymnasium.wrappers import TimeLimit

from mppi_zoo.envs.gym import standardise
from mppi_zoo.envs.matching import unknown_name
from mppi_zoo.envs.options import EnvOptions
from mppi_zoo.envs.rendering import rendering_available
from mppi_zoo.envs.view import AgentEnv


def make(task: str, options: EnvOptions, render: bool) -> AgentEnv:
    """The environment that ``module.path:Factory`` builds; action repeat 1 unless set.

    The factory, a class or a function, is called without arguments, or with ``render_mode`` if it
    takes one. Optional attributes of the innermost environment: ``episodic`` (bool, else taken as
    True), ``max_episode_steps`` (its own time limit, else EnvOptions.max_episode_steps), and
    ``restorable`` (bool, else taken as False: whether an episode may be played again, and a few
    steps played before the first one, in order to find out whether that works).

    Raises:
        ImportError: the module cannot be imported.
        ValueError: no such factory in it, one that needs arguments or returns no gymnasium.Env, or
            spaces that cannot be used (see AgentEnv).
    """
    factory = _load(task)
    keywords = _render_keywords(factory, render)
    _refuse_arguments(task, factory, keywords)
    env = factory(**keywords)
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


def _load(task: str) -> Callable[..., Any]:
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
            "or one of the suites dmc, gym, hb, hbx, toy. Install it, start from the directory "
            f"that holds it (now {here}), or add that to PYTHONPATH"
        )
    return (
        f"importing module {module_name!r} failed: {type(error).__name__}: {error}. "
        f"Correct it until `python -c 'import {module_name}'` works"
    )


def _refuse_arguments(task: str, factory: Callable[..., Any], keywords: dict[str, Any]) -> None:
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # written in C
        return
    try:
        signature.bind(**keywords)
    except TypeError as error:
        raise ValueError(
            f"{task}: {error}; expected a class or function that builds an environment without "
            "arguments"
        ) from error


def _render_keywords(factory: Callable[..., Any], render: bool) -> dict[str, Any]:
    if render and "mujoco" in sys.modules:
        # Chooses the backend for the process, in case the factory's environment needs one.
        rendering_available()
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return {}
    takes = any(p.name == "render_mode" or p.kind is p.VAR_KEYWORD for p in parameters)
    return {"render_mode": "rgb_array" if render else None} if takes else {}
