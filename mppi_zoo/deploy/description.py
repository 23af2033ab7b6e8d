"""``export.json``: what a program around the exported ones must know."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.deploy.actions import ActionSpace
from mppi_zoo.deploy.observations import ABSURD
from mppi_zoo.planning.candidates import white_noise
from mppi_zoo.runs.folder import versions

FORMAT, VERSION = "mppi_zoo.export", 1
NoiseInput = tuple[str, Tensor, int | None]  # name, example of two states, axis of the states


def noise_inputs(agent: POMPCAgent) -> tuple[list[NoiseInput], Callable[[Sequence[Tensor]], Any]]:
    """The draws that a plan takes, and what makes the planner's record of them."""
    generator = torch.Generator(agent.device).manual_seed(0)
    two, three = (agent.draw_plan_noise(states, generator) for states in (2, 3))
    inputs: list[NoiseInput] = []
    for name, small, large in zip(two._fields, two, three, strict=True):
        if small is not None:
            axes = [i for i, size in enumerate(small.shape) if size != large.shape[i]]
            inputs.append((f"noise_{name}", small, axes[0] if axes else None))
    fields = [name.removeprefix("noise_") for name, _, _ in inputs]
    absent = dict.fromkeys(set(two._fields) - set(fields))

    def record(tensors: Sequence[Tensor]) -> Any:
        return type(two)(**dict(zip(fields, tensors, strict=True)), **absent)

    return inputs, record


def described(
    execution: Execution, actions: ActionSpace, fallback: str, files: Sequence[Path]
) -> dict[str, Any]:
    """Names, order, bounds, sizes, draws, versions and checksums."""
    agent = execution.agent
    return {
        "format": FORMAT,
        "version": VERSION,
        "observation": {**asdict(agent.spec.obs), "largest": ABSURD},
        "action": {
            "low": actions.low.tolist(),
            "high": actions.high.tolist(),
            "dtype": str(actions.dtype),
            "shape": list(actions.shape),
        },
        "horizon": agent.planner.horizon,
        "plan_shape": [agent.planner.warm_rows, "batch", agent.spec.action_dim],
        "fallback": fallback,
        "noise": _noise(agent),
        "files": {path.name: sha256(path) for path in files},
        "versions": versions(),
    }


def _noise(agent: POMPCAgent) -> list[dict[str, Any]]:
    """The noise inputs of the planner's ONNX program, and how they are drawn."""
    inputs, _ = noise_inputs(agent)
    colour = getattr(agent.planner, "candidate_noise", white_noise)
    described = []
    for name, example, axis in inputs:
        field = name.removeprefix("noise_")
        draw = type(agent.draw_plan_noise(1, None)).distributions()[field]
        shape: list[int | str] = list(example.shape)
        if axis is not None:
            shape[axis] = "batch"
        entry = {"name": name, "shape": shape, "dtype": str(example.dtype).split(".")[-1]}
        entry["distribution"] = draw
        if draw == "pairs":
            entry["below"] = agent.critic.heads
        if field == "candidates" and colour is not white_noise:
            entry["distribution"] = f"normal, then {_name(colour)}"
        described.append(entry)
    return described


def _name(part: Any) -> str:
    return getattr(part, "__name__", type(part).__name__)


def sha256(path: Path) -> str:
    """The checksum of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
