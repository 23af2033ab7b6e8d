"""How a run uses the machine: threads, compiling, evaluations beside the training.

The numbers that a run gives depend on the first two, which are therefore rules and no timings.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.cli.setup import Setup
from mppi_zoo.compute import compiling, threads
from mppi_zoo.compute.idle import core_is_idle
from mppi_zoo.runs import beside
from mppi_zoo.training.forecast import Forecast
from mppi_zoo.training.options import TrainingOptions
from mppi_zoo.training.throughput import Speed

WORTH_A_COPY = 5.0  # s that an evaluation takes; a copy of the process costs a tenth of a second


def settle(setup: Setup, args: argparse.Namespace) -> None:
    """Fill in ``args.threads`` and ``args.compile`` where neither user nor run has them.

    Raises:
        ValueError: ``OMP_NUM_THREADS`` is not a number of threads; ``--evaluate-beside`` was
            given, and evaluations cannot run so.
    """
    options, envs = setup.experiment.training, setup.envs
    work = smallest_work(setup.execution.agent, options.batch_size)
    if args.threads is None:
        args.threads = threads.by_rule(work)
    if args.compile is None:
        count = calls(options, envs.num_envs, envs.spec.episode_length)
        args.compile = (
            setup.device.type == "cpu"
            and not args.eval
            and compiling.pays(count, work)
            and compiling.compiler() is not None
        )
    if args.evaluate_beside and (reason := not_beside(setup, args)):
        raise ValueError(f"--evaluate-beside: {reason}; leave it out")


def not_beside(setup: Setup, args: argparse.Namespace) -> str:
    """Why evaluations cannot run on a copy of the process; empty where they can.

    Args:
        args: settled by :func:`settle`.
    """
    if setup.device.type != "cpu":
        return f"the agent computes on {setup.device}, which a copy of the process cannot use"
    if args.threads > 1:
        return f"it computes with {args.threads} threads, and a copy of the process has one"
    if setup.experiment.callbacks:
        return "callbacks are told of an evaluation before the training goes on"
    if args.eval_env == "same":
        return "with --eval-env same the training's own environment is busy"
    if not setup.experiment.training.checkpoint_minutes:
        return "with checkpoint_minutes = 0 there is no checkpoint to repeat an evaluation from"
    return beside.impossible() or setup.envs.not_restorable()


def may_copy(setup: Setup, args: argparse.Namespace) -> bool:
    """Whether copies of the process can compute, and have a core to do it on."""
    return (
        args.evaluate_beside is not False
        and threads.usable_cores() > 1
        and not not_beside(setup, args)
    )


def forecast(speed: Speed, setup: Setup, args: argparse.Namespace) -> Forecast:
    """How long a run of this speed will take, and whether it evaluates beside its training."""
    options, envs = setup.experiment.training, setup.envs
    waiting = 0.0 if options.rate is None else options.rate.period - speed.plan
    step = max(envs.step_seconds(), waiting)
    found = Forecast(speed, step, options, envs.num_envs, envs.spec.episode_length)
    return replace(found, beside=evaluates_beside(setup, args, found))


def evaluates_beside(setup: Setup, args: argparse.Namespace, forecast: Forecast) -> bool:
    """Whether evaluations run on a copy of the process while the training goes on."""
    if args.evaluate_beside is False or setup.evaluator is None or not_beside(setup, args):
        return False
    pays = forecast.evaluation >= WORTH_A_COPY and threads.usable_cores() > 1
    return args.evaluate_beside or pays


def when_beside(args: argparse.Namespace, forecast: Forecast) -> Callable[[], bool] | None:
    """Asked before an evaluation: whether it runs beside the training; None where none does.

    With a core that is busy otherwise, the training would wait for the evaluation's copy longer
    than an evaluation in line takes.
    """
    if not forecast.beside:
        return None
    return (lambda: True) if args.evaluate_beside else core_is_idle


def smallest_work(agent: POMPCAgent, batch_size: int) -> int:
    """Multiplications of a hidden layer's product in a plan or in an update, the smaller of both.

    Args:
        batch_size: windows in an update.
    """
    return threads.work(min(agent.planner.samples, batch_size), agent.world_model.mlp_dim)


def calls(options: TrainingOptions, num_envs: int, episode_length: int) -> float:
    """Plans and updates of a run, without evaluations: plans of several states gain little."""
    planned = max(options.steps - options.shortest_seed_phase(episode_length), 0)
    updates = options.steps * options.updates_per_step
    return planned / num_envs + updates
