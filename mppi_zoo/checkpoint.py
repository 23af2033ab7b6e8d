"""The agent on disk: written atomically, loaded without executing code."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from mppi_zoo.agent import POMPCAgent

FORMAT = "mppi_zoo.agent"
VERSION = 1


def save_agent(path: Path, agent: POMPCAgent, step: int) -> None:
    """Write parameters, optimisers and scales; the file is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    state = {"format": FORMAT, "version": VERSION, "step": step, "agent": agent.state_dict()}
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a file of :func:`save_agent`, read with ``weights_only``.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if the file is damaged or was written by something else.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged or not a checkpoint: {error}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"{path} is not a checkpoint of mppi_zoo (format {FORMAT!r} not found)")
    if state["version"] > VERSION:
        raise ValueError(
            f"{path} has format version {state['version']}; this mppi_zoo reads up to {VERSION}: "
            "update the package"
        )
    return state


def load_agent(path: Path, agent: POMPCAgent) -> int:
    """Fill an agent built from the same configuration; returns its agent step.

    Raises:
        ValueError: if the file does not fit the agent.
    """
    state = read_checkpoint(path)
    try:
        agent.load_state_dict(state["agent"])
    except (RuntimeError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} does not fit the configured agent ({error}); use the config.gin of its run"
        ) from error
    return int(state["step"])
