"""Packages that only some uses need: each belongs to an extra, and is named where it is missing.

The core of the package needs torch, numpy, gymnasium, gin-config and annotated-types; ``pip install
'mppi_zoo[train]'`` and its kin bring the others.
"""

from __future__ import annotations

import importlib.util
from typing import NamedTuple


class Extra(NamedTuple):
    """An extra of the package.

    Attributes:
        purpose: what it is for, as the subject of a sentence.
        modules: what is imported of it, the first missing one of which is named.
    """

    purpose: str
    modules: tuple[str, ...]


EXTRAS = {
    "train": Extra("training", ("tensorboard", "rich", "filelock", "psutil", "submitit", "yaml")),
    "report": Extra("analysis of runs", ("pandas", "matplotlib", "scipy", "jinja2")),
    "video": Extra("an evaluation's video", ("imageio", "imageio_ffmpeg")),
    "humanoid": Extra("HumanoidBench", ("robosuite_models",)),
    "envpool": Extra("environments of EnvPool", ("envpool",)),
    "onnx": Extra("export to ONNX", ("onnx", "onnxruntime", "onnxscript")),
    "wandb": Extra("logging to Weights & Biases", ("wandb",)),
    "sweep": Extra("a search", ("optuna",)),
    "hub": Extra("sharing runs", ("huggingface_hub", "safetensors")),
}
# Packages of an extra that only one of its uses needs; that use names them.
OTHERS = {"dm_control": "train", "mujoco": "train"}


def require(extra: str, purpose: str = "", *modules: str) -> None:
    """Check that the packages of an extra are there.

    Args:
        extra: a key of :data:`EXTRAS`.
        purpose: what needs them, as the subject of a sentence; by default that of the extra.
        modules: those that are needed; by default all that :data:`EXTRAS` lists.

    Raises:
        ImportError: one is missing; the message has the command that installs it.
    """
    needed = modules or EXTRAS[extra].modules
    for module in needed:
        if not _installed(module):
            raise ImportError(
                f"{purpose or EXTRAS[extra].purpose} needs the package {module}, which is not "
                f"installed; install it with: pip install 'mppi_zoo[{extra}]'",
                name=module,
            )


def _installed(module: str) -> bool:
    """Whether there is such a package; a folder of that name without code does not count.

    W&B, for one, leaves a folder ``wandb`` in the working directory, which imports as an empty
    package.
    """
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None
