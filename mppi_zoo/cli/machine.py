"""How a run uses the machine: the number of threads, and whether it compiles; rules, no timings."""

from __future__ import annotations

import argparse

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.cli.setup import Setup
from mppi_zoo.compute import compiling, threads
from mppi_zoo.training.options import TrainingOptions


def settle(setup: Setup, args: argparse.Namespace) -> None:
    """Fill in ``args.threads`` and ``args.compile`` where neither user nor run has them.

    Raises:
        ValueError: ``OMP_NUM_THREADS`` is not a number of threads.
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


def smallest_work(agent: POMPCAgent, batch_size: int) -> int:
    """Multiplications of a hidden layer's product in a plan or in an update, the smaller of both.

    Args:
        batch_size: windows in an update.
    """
    return threads.work(min(agent.planner.samples, batch_size), agent.world_model.mlp_dim)


def calls(options: TrainingOptions, num_envs: int, episode_length: int) -> float:
    """Plans and updates of a run, without evaluations: plans of several states gain little."""
    planned = max(options.steps - options.seed_phase(episode_length), 0)
    updates = options.steps * options.updates_per_step
    return planned / num_envs + updates
