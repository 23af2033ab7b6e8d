"""From a task's name to its environment."""

from __future__ import annotations

import importlib
from functools import partial

import gymnasium
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from mppi_zoo.envs.options import EnvOptions
from mppi_zoo.envs.view import AgentEnv

DEFAULT_OPTIONS = EnvOptions()

# Modules, imported on demand, that each define make(name, options, render).
SUITES = {
    "dmc": "mppi_zoo.envs.dmc",
    "gym": "mppi_zoo.envs.gym",
    "hb": "mppi_zoo.envs.humanoid_bench.suite",
    "hbx": "mppi_zoo.envs.humanoid_bench.clone",
    "toy": "mppi_zoo.envs.toy",
}


def make(task: str, options: EnvOptions = DEFAULT_OPTIONS, render: bool = False) -> AgentEnv:
    """An environment with observations [O] float32 and actions [A] float32 in [-1, 1].

    Args:
        task: ``dmc:<domain>-<task>``, ``gym:<id>``, ``hb:h1hand-<task>``, ``hbx:<robot>-<task>``,
            ``toy:<name>``, or ``module.path:Factory``.
        options: what to change from the suite's defaults.
        render: make ``render()`` return images [height, width, 3] uint8.

    Raises:
        ValueError: unknown suite or task, or spaces that agents cannot use.
        ImportError: the module of a ``module.path:Factory`` cannot be imported, or what a suite
            needs beside this package is not installed.
        RuntimeError: ``render`` where the suite cannot render.
    """
    suite, colon, name = task.partition(":")
    if not (suite and colon and name):
        raise ValueError(
            f"task {task!r} names no suite; expected '<suite>:<name>' with suite one of "
            f"{', '.join(SUITES)}, as in 'dmc:walker-walk' or 'gym:Pendulum-v1', "
            "or 'module.path:Factory' for an environment of your own"
        )
    if suite in SUITES:
        return importlib.import_module(SUITES[suite]).make(name, options, render)
    from mppi_zoo.envs import custom

    return custom.make(task, options, render)


def make_vector(
    task: str,
    num_envs: int,
    options: EnvOptions = DEFAULT_OPTIONS,
    asynchronous: bool = False,
    render: bool = False,
) -> VectorEnv:
    """A Gymnasium vector environment over copies of one task, with autoreset disabled.

    Finished environments wait for ``reset(seed=[...], options={"reset_mask": mask})``, whose seeds
    of environments outside the mask are ignored; Gymnasium removes "reset_mask" from the options,
    so pass a new dict each time. Observations [N, O] are copies. ``EpisodeVector`` is the
    friendlier interface.

    Args:
        task, options, render: as for ``make``.
        num_envs: N >= 1.
        asynchronous: a process per environment instead of a loop; such environments cannot
            render.

    Raises:
        ValueError: ``num_envs`` < 1, or both ``asynchronous`` and ``render``; else as ``make``.
    """
    if num_envs < 1:
        raise ValueError(f"num_envs is {num_envs}; expected an integer >= 1")
    if asynchronous and render:
        # Gymnasium builds one environment here before it forks the others, and a forked process
        # hangs in the OpenGL that this one has loaded.
        raise ValueError(
            f"{task}: asynchronous=True and render=True cannot go together, expected at most one; "
            "render with asynchronous=False"
        )
    builders = [partial(_build, task, options, render) for _ in range(num_envs)]
    # copy=True: both classes otherwise return one buffer that later steps overwrite.
    if asynchronous:
        return AsyncVectorEnv(builders, copy=True, autoreset_mode=AutoresetMode.DISABLED)
    return SyncVectorEnv(builders, copy=True, autoreset_mode=AutoresetMode.DISABLED)


def _build(task: str, options: EnvOptions, render: bool) -> gymnasium.Env:
    return make(task, options, render)
