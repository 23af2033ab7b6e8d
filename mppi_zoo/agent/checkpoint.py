"""The agent on disk: written atomically, loaded without executing code."""

from __future__ import annotations

from pathlib import Path

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.official import load_official, model_dict, sizes
from mppi_zoo.agent.parts import refuse_bad_parameters
from mppi_zoo.runs import tensor_file

FORMAT = "mppi_zoo.agent"
VERSION = 1


def save_agent(path: Path, agent: POMPCAgent, step: int) -> None:
    """Write parameters, optimisers and scales; the file is there whole or not at all."""
    state = {"format": FORMAT, "version": VERSION, "step": step, "agent": agent.state_dict()}
    tensor_file.write(path, state)


def checkpoint_file(path: Path) -> Path:
    """``path`` itself, or the last agent of the run folder that it names.

    Raises:
        FileNotFoundError: if there is none.
    """
    path = Path(path)
    file = path / "checkpoints" / "last.pt" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(
            f"no checkpoint at {file}: give a run folder that was trained to its first evaluation, "
            "or a checkpoint file"
        )
    return file


def size_macros(path: Path) -> dict[str, int]:
    """Sizes that an official TD-MPC2 checkpoint prescribes; empty for the package's own files."""
    model = model_dict(tensor_file.read(checkpoint_file(path)))
    return {} if model is None else sizes(model)


def load_agent(path: Path, agent: POMPCAgent) -> int:
    """Fill an agent from a run folder, a checkpoint file, or an official TD-MPC2 checkpoint.

    Returns:
        The agent step it was saved at (0 for an official file).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, foreign, does not fit the agent, or has
            parameters that are not finite.
    """
    file = checkpoint_file(path)
    content = tensor_file.read(file)
    model = model_dict(content)
    if model is not None:
        load_official(model, agent)
        refuse_bad_parameters(agent.parts, str(file))
        return 0
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{file} is neither a checkpoint of mppi_zoo nor one of TD-MPC2's program")
    if content["version"] > VERSION:
        raise ValueError(
            f"{file} has format version {content['version']}; this mppi_zoo reads up to "
            f"{VERSION}: update the package"
        )
    try:
        agent.load_state_dict(content["agent"])
    except (RuntimeError, KeyError, ValueError) as error:
        raise ValueError(
            f"{file} does not fit the configured agent ({error}); use the config.gin of its run"
        ) from error
    refuse_bad_parameters(agent.parts, str(file))
    return int(content["step"])
