"""Train or evaluate: ``python -m mppi_zoo.run --gin gin/tdmpc2_equiv.gin``.

The composition root: only here are gin and the command line read, seeds set, a device picked.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from mppi_zoo.agent.checkpoint import load_agent, size_macros
from mppi_zoo.agent.execution import Execution
from mppi_zoo.cli import resume
from mppi_zoo.cli.arguments import overrides, parser, pick_device
from mppi_zoo.cli.session import DONE, REFUSED, STOPPED, Setup, train
from mppi_zoo.compute.memory import keep_freed_memory
from mppi_zoo.config import gin_config as config
from mppi_zoo.config import validation
from mppi_zoo.envs import EnvironmentFault, EpisodeVector, rendering_available
from mppi_zoo.runs import folder as run_folder
from mppi_zoo.runs.signals import Interrupted, StopSignals
from mppi_zoo.training.evaluation import Evaluator
from mppi_zoo.training.replay import replay_bytes


def replay_device(device: torch.device, needed: int) -> torch.device:
    """The agent's device if the replay leaves half of its free memory, else the host."""
    if device.type != "cuda":
        return torch.device("cpu")
    free, _ = torch.cuda.mem_get_info(device)
    return device if needed < free / 2 else torch.device("cpu")


def build_agent(
    experiment: config.Experiment, envs: EpisodeVector, seed: int, device: torch.device
) -> Execution:
    """The agent with initial parameters from the seed, the same on every device."""
    random.seed(seed)  # only for parts and environments of users: all else has its own sources
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    return experiment.execution(experiment.agent(envs.spec, device=device, seed=seed))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = parser().parse_args(argv)
    arguments = sys.argv[1:] if argv is None else argv
    try:
        with StopSignals() as stop:
            return run(args, ["python", "-m", "mppi_zoo.run", *arguments], stop)
    except Interrupted as signal:
        print(f"stopped by {signal}", file=sys.stderr)
        return STOPPED
    except (ValueError, FloatingPointError, OSError, ImportError, EnvironmentFault) as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED


def run(args: argparse.Namespace, command_line: Sequence[str], stop: StopSignals) -> int:
    """Build everything, then train or evaluate."""
    if args.eval and args.init_from is None:
        raise ValueError("--eval needs --init-from FILE: a run folder or one of its checkpoints")
    record = resume.settle(args)
    device = pick_device(args.device)
    keep_freed_memory()
    files = args.gin or [str((args.resume / run_folder.CONFIG_FILE).resolve())]
    sizes = {} if args.init_from is None else size_macros(args.init_from)
    prescribed = [config.set_macro(name, value) for name, value in sizes.items()]
    experiment = config.parse(files, [*prescribed, *overrides(args)], args.imports)
    options = experiment.training
    member = Path(files[0]).stem if record is None else record["member"]

    with contextlib.ExitStack() as stack:
        envs = stack.enter_context(
            EpisodeVector(
                experiment.task,
                args.num_envs,
                args.seed,
                "training",
                experiment.env,
                args.async_envs,
            )
        )
        execution = build_agent(experiment, envs, args.seed, device)
        agent = execution.agent
        if args.init_from is not None and record is None:
            load_agent(args.init_from, agent)
        config.check_dead_bindings(files, args.param)
        rows = validation.replay_rows(experiment, args.num_envs)
        host = replay_device(device, replay_bytes(envs.spec, rows))
        validation.check(experiment, agent.planner, envs, replay_on_host=host.type == "cpu")
        operative = config.operative_config()
        if args.show:
            print(operative)
            return DONE
        film, message = _filming(args)
        evaluator = None
        if options.eval_every or args.eval:
            eval_envs = EpisodeVector(
                experiment.task,
                options.eval_episodes,
                args.seed,
                "evaluation",
                experiment.env,
                render=film,
            )
            evaluator = Evaluator(stack.enter_context(eval_envs), args.seed, stop.check)
        if args.eval:
            return _evaluate(execution, evaluator)
        setup = Setup(
            experiment, operative, member, device, execution, envs, evaluator, film, rows, host
        )
        return train(setup, args, command_line, record, [message], stop)


def _filming(args: argparse.Namespace) -> tuple[bool, str]:
    if args.no_video:
        return False, ""
    available, reason = rendering_available()
    return available, "" if available else f"no evaluation video: {reason}"


def _evaluate(execution: Execution, evaluator: Evaluator | None) -> int:
    assert evaluator is not None
    for name, episodes in (
        ("planner", evaluator.planner(execution, 0)),
        ("bare policy", evaluator.policy(execution.agent, 0)),
    ):
        print(
            f"{name}: return {episodes.returns.mean():.1f} +- {episodes.returns.std():.1f} over "
            f"{episodes.returns.size} episodes of {episodes.lengths.mean():.0f} steps"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
