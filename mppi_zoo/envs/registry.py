"""Makes the environment, or a vector of environments, that a task's name stands for."""

from __future__ import annotations

import importlib
import multiprocessing
from functools import partial

import gymnasium
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from mppi_zoo.envs.batch import Batch
from mppi_zoo.envs.copies import Copies
from mppi_zoo.envs.options import EnvOptions
from mppi_zoo.envs.view import AgentEnv
from mppi_zoo.envs.workers import Workers
from mppi_zoo.runs.signals import leave_to_parent

DEFAULT_OPTIONS = EnvOptions()

# Modules, imported on demand, that each define make(name, options, render).
SUITES = {
    "dmc": "mppi_zoo.envs.dmc",
    "ep": "mppi_zoo.envs.pool",
    "gym": "mppi_zoo.envs.gym",
    "hb": "mppi_zoo.envs.humanoid_bench.suite",
    "hbx": "mppi_zoo.envs.humanoid_bench.clone",
    "toy": "mppi_zoo.envs.toy",
    "vec": "mppi_zoo.envs.vec",
}
NATIVE = ("ep", "vec")  # these step all environments as one batch
FIXED = ("dmc", "hb", "hbx", "toy")  # their tasks take no arguments


def make(task: str, options: EnvOptions = DEFAULT_OPTIONS, render: bool = False) -> AgentEnv:
    """An environment with observations [O] float32 and actions [A] float32 in [-1, 1].

    Args:
        task: ``dmc:<domain>-<task>``, ``gym:<id>``, ``hb:h1hand-<task>``, ``hbx:<robot>-<task>``,
            ``ep:<id>``, ``toy:<name>``, ``vec:module.path:Factory``, or ``module.path:Factory``.
        options: settings that differ from the suite's defaults.
        render: make ``render()`` return images [height, width, 3] uint8.

    Raises:
        ValueError: unknown suite or task, or spaces that agents cannot use.
        ImportError: the module of a ``module.path:Factory`` cannot be imported, or a package that a
            suite needs is not installed.
        RuntimeError: ``render`` where the suite cannot render.
    """
    suite, name = _split(task)
    if suite in FIXED and options.arguments:
        raise ValueError(
            f"{task} takes no arguments, and was given {', '.join(options.arguments)} (--env-arg); "
            "tasks gym:, ep:, vec: and module.path:Factory do"
        )
    if suite in SUITES:
        return importlib.import_module(SUITES[suite]).make(name, options, render)
    from mppi_zoo.envs import custom

    return custom.make(task, options, render)


def check_name(task: str) -> None:
    """Raise for a task that no suite has; nothing is built. Modules of users are not imported.

    Raises:
        ValueError: unknown suite or task.
        ImportError: a package that the suite needs is not installed.
    """
    suite, name = _split(task)
    if suite in SUITES and suite != "vec" and not (suite == "gym" and ":" in name):
        importlib.import_module(SUITES[suite]).check_name(name)


def make_vector(
    task: str,
    num_envs: int,
    options: EnvOptions = DEFAULT_OPTIONS,
    asynchronous: bool = False,
    render: bool = False,
) -> VectorEnv:
    """A Gymnasium vector environment over copies of one task, with autoreset disabled.

    Finished environments wait for ``reset(seed=[...], options={"reset_mask": mask})``, which does
    not read the seeds of environments outside the mask. Gymnasium removes "reset_mask" from the
    options, so pass a new dictionary each time. Observations [N, O] are copies.
    ``EpisodeVector`` is easier to use.

    Args:
        task, options, render: as for ``make``.
        num_envs: N >= 1.
        asynchronous: a process per environment instead of a loop; such environments cannot
            render.

    Raises:
        ValueError: ``num_envs`` < 1, or both ``asynchronous`` and ``render``; else as ``make``.
        EnvironmentFault: later, where an environment raises, hangs or dies.
    """
    _check_count(num_envs)
    if asynchronous and render:
        # Gymnasium builds one environment in this process before it forks the others. If that loads
        # OpenGL, the forked processes hang in it.
        raise ValueError(
            f"{task}: asynchronous=True and render=True cannot go together, expected at most one; "
            "render with asynchronous=False"
        )
    if _split(task)[0] in NATIVE:
        raise ValueError(
            f"{task} is a batch by itself, of no single environments; use EpisodeVector"
        )
    builders = [partial(_build, task, options, render, index) for index in range(num_envs)]
    if asynchronous:
        return Workers(task, builders, options.time_out)
    # copy=True: gymnasium otherwise returns one buffer that later steps overwrite.
    return SyncVectorEnv(builders, copy=True, autoreset_mode=AutoresetMode.DISABLED)


def make_batch(
    task: str,
    num_envs: int,
    options: EnvOptions = DEFAULT_OPTIONS,
    asynchronous: bool = False,
    render: bool = False,
    seed: int = 0,
) -> Batch:
    """What :class:`mppi_zoo.envs.EpisodeVector` plays on: a native batch, or copies of one task.

    Args:
        task, num_envs, options, asynchronous, render: as for ``make_vector``. Native batches are
            never filmed: there ``render`` does nothing until an image is asked for.
        seed: of the construction, for vectors that take one.

    Raises:
        ValueError: as ``make_vector``; or ``asynchronous`` with a native batch.
    """
    suite, name = _split(task)
    if suite not in NATIVE:
        vector = make_vector(task, num_envs, options, asynchronous, render)
        try:
            return Copies(vector)
        except BaseException:
            vector.close()
            raise
    _check_count(num_envs)
    if asynchronous:
        raise ValueError(
            f"{task}: its environments are stepped as one batch, so they cannot have a process "
            "each; leave out --async-envs"
        )
    return importlib.import_module(SUITES[suite]).make_batch(name, num_envs, options, seed)


def _check_count(num_envs: int) -> None:
    if num_envs < 1:
        raise ValueError(f"num_envs is {num_envs}; expected an integer >= 1")


def _split(task: str) -> tuple[str, str]:
    """The suite of a task, or the module of a factory; and what stands after the colon."""
    suite, colon, name = task.partition(":")
    if not (suite and colon and name):
        raise ValueError(
            f"task {task!r} names no suite; expected '<suite>:<name>' with suite one of "
            f"{', '.join(SUITES)}, as in 'dmc:walker-walk' or 'gym:Pendulum-v1', "
            "or 'module.path:Factory' for an environment of your own"
        )
    return suite, name


def _build(task: str, options: EnvOptions, render: bool, index: int) -> gymnasium.Env:
    if multiprocessing.parent_process() is not None:
        leave_to_parent()
    env = make(task, options, render)
    env.index = index
    return env
