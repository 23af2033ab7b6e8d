"""Compiled code and CUDA graphs, where they were asked for and work; and how fast it is then."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable

import torch

from mppi_zoo.agent.execution import Execution
from mppi_zoo.cli.setup import Setup
from mppi_zoo.compute.cuda_graphs import CudaRecorder, Recorder
from mppi_zoo.runs.beside import Beside
from mppi_zoo.training.throughput import Sizes, Speed, measure


def accelerate(
    setup: Setup, args: argparse.Namespace, tell: Callable[[str], None], *, copies: bool = False
) -> Speed:
    """Compile and record the agent as ``args`` ask for, and measure its speed.

    Args:
        copies: whether copies of this process can compute, to compile on two cores, and to compile
            the plans of evaluations when these come.
        tell: takes messages for the user.
    """
    execution, experiment = setup.execution, setup.experiment
    sizes = Sizes(
        setup.envs.num_envs,
        experiment.training.batch_size,
        experiment.reanalysis.states(execution.agent.planner.horizon),
        experiment.reanalysis.interval,
        experiment.training.eval_episodes if experiment.training.eval_every else 0,
    )
    recorder = recorder_for(setup.device) if args.compile or args.graphs else None
    copies = copies and recorder is None
    sizes = sizes._replace(estimated=copies)
    if recorder is not None:
        execution.record(recorder, tell)
    elif args.graphs:
        tell(f"no CUDA graphs on {setup.device}: going on without them")
    if not args.compile:
        return measure(execution, sizes)
    tell(
        "compiling: one to three minutes, or seconds where torch's cache has it"
        + (", then CUDA graphs" if recorder else "")
    )
    begun = time.perf_counter()
    try:
        execution.compile()
        if copies:
            _compile_on_two_cores(execution, sizes)
        speed = measure(execution, sizes)
    except Exception as error:  # compilers fail in many ways; eager does not
        execution.uncompile()
        reason = str(error).strip().splitlines()
        tell(
            f"torch.compile failed ({reason[0] if reason else type(error).__name__}): "
            f"going on without it{', with CUDA graphs alone' if recorder else ''}"
        )
        return measure(execution, sizes)
    tell(f"compiled in {time.perf_counter() - begun:.0f} s")
    return speed


def _compile_on_two_cores(execution: Execution, sizes: Sizes) -> None:
    """Compile the plan on a copy of this process, into torch's cache, beside the update here."""
    plan = Beside(lambda: measure(execution, sizes, updates=False))
    try:
        measure(execution, sizes, plans=False)
    except BaseException:
        plan.abandon()
        raise
    with contextlib.suppress(Exception):  # what failed there fails here, where it is told
        plan.result()


def recorder_for(device: torch.device) -> Recorder | None:
    """What records plans and updates on a device; None where there are no graphs."""
    return CudaRecorder(device) if device.type == "cuda" else None
