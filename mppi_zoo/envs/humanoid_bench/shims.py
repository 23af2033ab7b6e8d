"""Adapts the original program to current packages, in memory; its files are not changed.

Three things keep it from running: it imports ``jax.numpy``, for code that no environment calls; it
lists fields of MuJoCo's structures that MuJoCo no longer has; and it calls Gymnasium's renderer
with arguments that this no longer takes.
"""

# MuJoCo's compiled modules carry no stubs.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

PACKAGE = "humanoid_bench"


@contextlib.contextmanager
def stand_in_for_jax() -> Iterator[None]:
    """Provides an empty ``jax.numpy`` while the block runs, where JAX is not installed.

    It is removed afterwards, since other libraries look into ``sys.modules`` for JAX.
    """
    if "jax" in sys.modules or importlib.util.find_spec("jax") is not None:
        yield
        return
    package, numpy = types.ModuleType("jax"), types.ModuleType("jax.numpy")
    package.numpy = numpy  # type: ignore[attr-defined]
    modules = {"jax": package, "jax.numpy": numpy}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in modules.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def fit_renderer(env: Any) -> None:
    """Lets the renderer of one environment take the arguments that the program passes.

    The program passes the camera after the mode, but Gymnasium's renderer takes it when the
    environment is made. And it passes a marker's size as a number and its colour as a tuple, where
    arrays are expected.
    """
    render = env.mujoco_renderer.render
    env.mujoco_renderer.render = lambda mode, *camera: render(mode)
    viewer = getattr(env, "viewer", None)
    if viewer is None:
        return
    add_marker = viewer.add_marker

    def add(**marker: Any) -> None:
        marker["size"] = np.broadcast_to(np.asarray(marker["size"], np.float64), 3).copy()
        marker["rgba"] = np.array(marker["rgba"])
        add_marker(**marker)

    viewer.add_marker = add


def forget_missing_fields() -> list[str]:
    """Removes fields that MuJoCo lacks from the program's table, in memory; returns their names.

    Raises:
        ImportError: the program has no such table.
    """
    import mujoco

    table: Any = importlib.import_module(f"{PACKAGE}.dmc_deps.dmc_sizes").array_sizes
    structures = {"mjdata": mujoco.MjData, "mjmodel": mujoco.MjModel}
    missing = [
        (group, field)
        for group, structure in structures.items()
        for field in table[group]
        if not hasattr(structure, field)
    ]
    for group, field in missing:
        del table[group][field]
    return [field for _, field in missing]
