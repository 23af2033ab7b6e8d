"""The original program, run from the user's clone: ``hbx:<robot>-<task>``."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import gymnasium

from mppi_zoo.envs.gym import standardise
from mppi_zoo.envs.humanoid_bench.clone_env import CloneEnv
from mppi_zoo.envs.humanoid_bench.shims import (
    PACKAGE,
    fit_renderer,
    forget_missing_fields,
    stand_in_for_jax,
)
from mppi_zoo.envs.matching import unknown_name
from mppi_zoo.envs.options import EnvOptions
from mppi_zoo.envs.rendering import quiet_gl_import, require_rendering
from mppi_zoo.envs.view import AgentEnv

HOME = "HUMANOID_BENCH_HOME"
REPOSITORY = "https://github.com/carlosferrazza/humanoid-bench"
# Files that the package must have; its ordinary installation leaves out the last three.
PARTS = ("__init__.py", "env.py", "envs", "dmc_deps", "assets")
# Tasks whose episodes end only at the time limit.
NEVER_TERMINATE = frozenset({"crawl", "reach"})


def names() -> list[str]:
    """Names of all tasks of the clone; ImportError without one."""
    program = load_program()
    return [f"{robot}-{task}" for robot in program.ROBOTS for task in program.TASKS]


def check_name(name: str) -> None:
    """Raise ValueError for a task that the clone does not have; ImportError without a clone."""
    if name not in names():
        raise unknown_name("hbx task", name, names())


def make(name: str, options: EnvOptions, render: bool) -> AgentEnv:
    """The environment of ``hbx:<robot>-<task>``; action repeat 1 unless set.

    Raises:
        ImportError: no clone is found, files of it are missing, or a package it imports is.
        ValueError: no such robot or task.
        RuntimeError: ``render`` where no image can be rendered.
    """
    check_name(name)
    robot, _, task = name.partition("-")
    if render:
        require_rendering(f"hbx:{name}")
    with quiet_gl_import():
        env = gymnasium.make(
            f"{robot}-{task}-v0",
            max_episode_steps=options.max_episode_steps,
            disable_env_checker=True,
            # Its default would open a rendering context for every environment.
            render_mode="rgb_array" if render else None,
        )
    if render:
        fit_renderer(env.unwrapped)
    if options.episodic is None:
        env.unwrapped.episodic = task not in NEVER_TERMINATE  # type: ignore[attr-defined]
    return standardise(CloneEnv(env), f"hbx:{name}", options)


def load_program() -> Any:
    """The module ``humanoid_bench.env`` of the user's clone, adapted to current packages.

    Raises:
        ImportError: no clone is found, files of it are missing, or a package it imports is.
    """
    folder = find_package()
    with _importable(folder.parent), stand_in_for_jax(), quiet_gl_import():
        try:
            program = importlib.import_module(f"{PACKAGE}.env")
            forget_missing_fields()
        except Exception as error:
            _forget_half_imported()
            raise ImportError(
                f"importing {PACKAGE} from {folder} failed: {type(error).__name__}: {error}. "
                f"{_advice()}",
                name=PACKAGE,
            ) from error
    return program


def find_package() -> Path:
    """The folder of the package humanoid_bench: HUMANOID_BENCH_HOME first, else as imported.

    Raises:
        ImportError: there is none, or parts of it are missing.
    """
    home = os.environ.get(HOME)
    if home:
        folder = Path(home).expanduser().resolve() / PACKAGE
        source = f"{HOME}={home}"
        loaded = list(getattr(sys.modules.get(PACKAGE), "__path__", [folder]))
        if folder.is_dir() and folder not in map(Path, loaded):
            raise ImportError(
                f"{source}, but {PACKAGE} was imported before from {', '.join(loaded)}; "
                "expected one clone a process: unset the variable, or restart Python",
                name=PACKAGE,
            )
    else:
        spec = importlib.util.find_spec(PACKAGE)
        if spec is None or not spec.submodule_search_locations:
            raise ImportError(
                f"hbx tasks run the original HumanoidBench, but there is no package {PACKAGE} "
                f"and {HOME} is not set. {_advice()}",
                name=PACKAGE,
            )
        folder = Path(spec.submodule_search_locations[0]).resolve()
        source = f"the installed {PACKAGE}"
    missing = [part for part in PARTS if not (folder / part).exists()]
    if missing:
        raise ImportError(
            f"{source}: {folder} lacks {', '.join(missing)}; expected a clone of the repository, "
            f"since its ordinary installation leaves files out. {_advice()}",
            name=PACKAGE,
        )
    return folder


def _advice() -> str:
    return (
        f"Get it with: git clone {REPOSITORY}, and set {HOME} to that folder (its own requirements "
        "are not needed). The tasks hb:h1hand-* need no clone"
    )


@contextlib.contextmanager
def _importable(folder: Path) -> Any:
    path = str(folder)
    sys.path.insert(0, path)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(path)


def _forget_half_imported() -> None:
    # So that a second attempt fails for the same reason, not because of partly imported modules.
    for name in [n for n in sys.modules if n == PACKAGE or n.startswith(PACKAGE + ".")]:
        del sys.modules[name]
