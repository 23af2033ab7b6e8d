"""The agent on disk: atomic, with a checksum, loaded without executing code."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.official import load_official, model_dict, sizes
from mppi_zoo.agent.parts import refuse_bad_parameters
from mppi_zoo.runs import tensor_file

FORMAT = "mppi_zoo.agent"
VERSION = 1
LAST, BEST = Path("checkpoints", "last.pt"), Path("checkpoints", "best.pt")  # in a run folder
SEALED = "sealed"  # entry of files that have a checksum, in case the damage hides the checksum


def save_agent(path: Path, agent: POMPCAgent, step: int) -> None:
    """Write parameters, optimisers and scales; the file is there whole or not at all."""
    about = {"format": FORMAT, "version": VERSION, SEALED: True, "step": step}
    tensor_file.write(path, {**about, "agent": agent.state_dict()})


def read_agent_file(path: Path, best: bool = False) -> tuple[Path, Any]:
    """A file with an agent, checked against its checksum, and its content.

    Args:
        path: the file, or a run folder.
        best: of a run folder take the agent of the best evaluation, if there is one, else the last.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged or holds code.
    """
    path, folder = Path(path), None
    if path.is_dir():
        folder = path
        path = folder / (BEST if best and os.path.lexists(folder / BEST) else LAST)
    try:
        content, sealed = tensor_file.read_checked(path, folder)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"no checkpoint at {path}: give a run folder that was trained to its first evaluation, "
            "or a checkpoint file"
        ) from error
    own = isinstance(content, dict) and content.get("format") == FORMAT
    if own and not sealed:
        if content.get(SEALED):
            raise ValueError(f"{path} is damaged: its checksum is missing. Restore it from a copy")
        warnings.warn(
            f"{path} was written by an earlier version, without a checksum: damage would go "
            "unnoticed",
            stacklevel=2,
        )
    return path, content


def size_macros(path: Path) -> dict[str, int]:
    """Sizes that an official TD-MPC2 checkpoint prescribes; empty for the package's own files."""
    model = model_dict(read_agent_file(path)[1])
    return {} if model is None else sizes(model)


def load_agent(path: Path, agent: POMPCAgent, best: bool = False) -> int:
    """Fill an agent from a run folder, a checkpoint file, or an official TD-MPC2 checkpoint.

    Args:
        best: see :func:`read_agent_file`.

    Returns:
        The agent step it was saved at (0 for an official file).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, foreign, does not fit the agent, or has
            parameters that are not finite.
    """
    file, content = read_agent_file(path, best)
    return fill_agent(agent, content, str(file))


def fill_agent(agent: POMPCAgent, content: Any, source: str) -> int:
    """As :func:`load_agent`, with the content of a file.

    Args:
        source: name of the file, for messages.
    """
    model = model_dict(content)
    if model is not None:
        load_official(model, agent)
        refuse_bad_parameters(agent.parts, source)
        return 0
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(
            f"{source} is neither a checkpoint of mppi_zoo nor one of TD-MPC2's program"
        )
    version = content.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise ValueError(
            f"{source} has format version {version}; this mppi_zoo reads up to {VERSION}: update "
            "the package"
        )
    try:
        agent.load_state_dict(content["agent"])
        step = int(content["step"])
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{source} does not fit the configured agent ({error}); use the config.gin of its run"
        ) from error
    refuse_bad_parameters(agent.parts, source)
    return step
