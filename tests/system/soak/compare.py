"""Whether two runs ended alike: metrics, agents, and the last checkpoint with its replay."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from mppi_zoo.runs.checkpoint_store import CheckpointStore, Opened


def differences(first: Path, second: Path) -> list[str]:
    """What differs between the results of two run folders, bit by bit; empty if nothing does."""
    found = []
    if (first / "metrics.csv").read_bytes() != (second / "metrics.csv").read_bytes():
        found.append("metrics.csv")
    for name in ("last.pt", "best.pt"):
        agents = [folder / "checkpoints" / name for folder in (first, second)]
        if agents[0].exists() or agents[1].exists():
            contents = [torch.load(path, weights_only=True) for path in agents]
            found += unequal(contents[0], contents[1], name)
    checkpoints = [CheckpointStore(folder / "state").open_newest() for folder in (first, second)]
    if checkpoints[0] is None or checkpoints[1] is None:
        return [*found, "a run has no checkpoint"]
    found += unequal(checkpoints[0].content, checkpoints[1].content, "state")
    found += unequal(rows(checkpoints[0]), rows(checkpoints[1]), "replay")
    return found


def rows(opened: Opened) -> dict[str, dict[int, Any]]:
    """The replay's rows by column and row number."""
    table: dict[str, dict[int, Any]] = {}
    for log in opened.manifest["logs"]:
        for segment in opened.segments(log):
            for name, values in segment.values.items():
                new = dict(zip(segment.rows.tolist(), values.tolist(), strict=True))
                table.setdefault(name, {}).update(new)
    return table


def bits(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether two tensors hold the same bits; so a NaN is itself."""
    one, two = (x.contiguous().reshape(-1).view(torch.uint8) for x in (first, second))
    return one.equal(two)


def unequal(first: Any, second: Any, where: str) -> list[str]:
    """Paths within two nested structures where they differ."""
    if isinstance(first, torch.Tensor):
        same = isinstance(second, torch.Tensor) and first.dtype == second.dtype
        return [] if same and first.shape == second.shape and bits(first, second) else [where]
    if isinstance(first, dict):
        if first.keys() != second.keys():
            return [f"{where}: {sorted(map(str, first.keys() ^ second.keys()))[:5]}"]
        return [
            path for key in first for path in unequal(first[key], second[key], f"{where}.{key}")
        ]
    if isinstance(first, (list, tuple)):
        if len(first) != len(second):
            return [f"{where}: {len(first)} and {len(second)} entries"]
        pairs = enumerate(zip(first, second, strict=True))
        return [path for i, (a, b) in pairs for path in unequal(a, b, f"{where}[{i}]")]
    if isinstance(first, float) and isinstance(second, float) and math.isnan(first):
        return [] if math.isnan(second) else [where]
    return [] if first == second else [where]
