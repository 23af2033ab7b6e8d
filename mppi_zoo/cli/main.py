"""Train or evaluate: ``python -m mppi_zoo.run --gin gin/tdmpc2_equiv.gin``.

The composition root: only in this folder are gin and the command line read, seeds set, a device
picked.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence

from mppi_zoo.cli import machine, resume
from mppi_zoo.cli.arguments import parser
from mppi_zoo.cli.session import train
from mppi_zoo.cli.setup import Setup, add_evaluator, build
from mppi_zoo.compute import threads
from mppi_zoo.compute.memory import keep_freed_memory
from mppi_zoo.runs.outcome import DONE, Attempt, conclude
from mppi_zoo.runs.signals import StopSignals


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = parser().parse_args(argv)
    command_line = ["python", "-m", "mppi_zoo.run", *(sys.argv[1:] if argv is None else argv)]

    def body(attempt: Attempt) -> int:
        with StopSignals() as stop:
            return run(args, command_line, stop, attempt)

    return conclude(body, debug=args.debug)


def run(
    args: argparse.Namespace, command_line: Sequence[str], stop: StopSignals, attempt: Attempt
) -> int:
    """Build everything, then train, evaluate, or show the configuration; returns the exit code."""
    if args.eval and args.init_from is None:
        raise ValueError("--eval needs --init-from FILE: a run folder or one of its checkpoints")
    record = resume.settle(args)
    keep_freed_memory()
    with contextlib.ExitStack() as stack:
        setup = build(args, record, stack)
        if args.show:
            print(setup.operative)
            return DONE
        machine.settle(setup, args)
        stack.enter_context(threads.using(args.threads))
        setup = add_evaluator(setup, args, stack, stop.check)
        if args.eval:
            attempt.begun = True
            evaluate(setup)
            return DONE
        return train(setup, args, command_line, record, stop, attempt)


def evaluate(setup: Setup) -> None:
    """Print the returns of the planner and of the bare policy."""
    execution, evaluator = setup.execution, setup.evaluator
    assert evaluator is not None
    for name, episodes in (
        ("planner", evaluator.planner(execution, 0)),
        ("bare policy", evaluator.policy(execution.agent, 0)),
    ):
        print(
            f"{name}: return {episodes.returns.mean():.1f} +- {episodes.returns.std():.1f} over "
            f"{episodes.returns.size} episodes of {episodes.lengths.mean():.0f} steps"
        )
