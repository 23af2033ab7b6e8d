"""What TensorBoard and Weights & Biases are told of a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mppi_zoo.cli.setup import Setup
from mppi_zoo.config.bindings import read_bindings
from mppi_zoo.runs import folder as run_folder
from mppi_zoo.runs.trackers import About


def watching(setup: Setup, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Arguments of :class:`mppi_zoo.runs.metrics.MetricsLogger` for the run in a folder."""
    about = About(
        setup.member,
        setup.experiment.task,
        args.seed,
        read_bindings(setup.operative),
        setup.envs.action_repeat,
    )
    return {"about": about, "wandb": _wandb(args, folder)}


def _wandb(args: argparse.Namespace, folder: Path) -> dict[str, str] | None:
    if args.wandb is None:
        return None
    identity = run_folder.read(folder)["wandb_id"]  # so that a resumed run goes on there too
    return {"project": args.wandb, "name": folder.name, "id": identity, "resume": "allow"}
