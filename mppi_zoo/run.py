"""Train or evaluate: ``python -m mppi_zoo.run --gin gin/tdmpc2_equiv.gin``.

The composition root: only here are gin and the command line read, seeds set, a device picked.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from mppi_zoo import config, run_folder
from mppi_zoo.agent import POMPCAgent
from mppi_zoo.checkpoint import load_agent, size_macros
from mppi_zoo.command_line import overrides, parser, pick_device
from mppi_zoo.curves import plot_learning_curve
from mppi_zoo.envs import EpisodeVector, rendering_available
from mppi_zoo.evaluation import Evaluator
from mppi_zoo.memory import keep_freed_memory
from mppi_zoo.metrics import MetricsLogger
from mppi_zoo.progress import Progress
from mppi_zoo.replay import Replay, replay_bytes
from mppi_zoo.runner import Trainer
from mppi_zoo.speed import Speed, forecast, measure


def replay_device(device: torch.device, needed: int) -> torch.device:
    """The agent's device if the replay leaves half of its free memory, else the host."""
    if device.type != "cuda":
        return torch.device("cpu")
    free, _ = torch.cuda.mem_get_info(device)
    return device if needed < free / 2 else torch.device("cpu")


def build_agent(
    experiment: config.Experiment, envs: EpisodeVector, seed: int, device: torch.device
) -> POMPCAgent:
    """The agent with initial parameters from the seed, the same on every device."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    return experiment.agent(envs.spec, device=device)


def check_sizes(experiment: config.Experiment, agent: POMPCAgent, seed_steps: int) -> None:
    """Fail before anything is written where sizes do not fit together.

    Raises:
        ValueError: naming the sizes.
    """
    options, horizon = experiment.training, agent.planner.horizon
    if horizon > agent.spec.episode_length:
        raise ValueError(
            f"MPPIPlanner.horizon = {horizon} is longer than an episode of {experiment.task} "
            f"({agent.spec.episode_length} agent steps); lower the macro horizon"
        )
    if seed_steps <= horizon:
        raise ValueError(
            f"the seed phase of {seed_steps} steps holds no window of {horizon + 1} "
            f"observations; raise the macro seed_steps above {horizon}"
        )
    if options.steps < seed_steps:
        raise ValueError(
            f"steps = {options.steps} ends within the seed phase of {seed_steps} random steps; "
            f"raise --steps above it, or lower it: --param seed_steps={max(options.steps // 2, 1)}"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = parser().parse_args(argv)
    try:
        arguments = sys.argv[1:] if argv is None else argv
        return run(args, ["python", "-m", "mppi_zoo.run", *arguments])
    except (ValueError, FloatingPointError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the agent of the last evaluation is kept", file=sys.stderr)
        return 130


def run(args: argparse.Namespace, command_line: Sequence[str]) -> int:
    """Build everything, then train or evaluate."""
    if args.eval and args.init_from is None:
        raise ValueError("--eval needs --init-from FILE: a run folder or one of its checkpoints")
    device = pick_device(args.device)
    keep_freed_memory()
    sizes = {} if args.init_from is None else size_macros(args.init_from)
    prescribed = [config.set_macro(name, value) for name, value in sizes.items()]
    experiment = config.parse(args.gin, [*prescribed, *overrides(args)], args.imports)
    options = experiment.training
    member = Path(args.gin[0]).stem

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
        agent = build_agent(experiment, envs, args.seed, device)
        if args.init_from is not None:
            load_agent(args.init_from, agent)
        config.check_dead_bindings(args.gin, args.param)
        seed_steps = options.seed_phase(envs.spec.episode_length)
        check_sizes(experiment, agent, seed_steps)
        if args.show:
            print(config.operative_config())
            return 0
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
            evaluator = Evaluator(stack.enter_context(eval_envs), args.seed)
        if args.eval:
            return _evaluate(agent, evaluator)
        # final observations take a row of their own, so twice the steps is always enough
        rows = min(options.replay_capacity, 2 * options.steps + args.num_envs)
        replay = Replay(
            envs.spec,
            rows,
            agent.planner.horizon,
            args.num_envs,
            device=replay_device(device, replay_bytes(envs.spec, rows)),
            batch_device=device,
        )
        folder = run_folder.create(
            args.out,
            member=member,
            task=experiment.task,
            seed=args.seed,
            command_line=command_line,
            operative_gin=config.operative_config(),
            device=str(device),
            facts={
                "spec": asdict(envs.spec),
                "imports": args.imports,
                "action_bounds": envs.action_bounds,
            },
        )
        wandb = None if args.wandb is None else {"project": args.wandb, "name": folder.name}
        logger = stack.enter_context(MetricsLogger(folder, wandb=wandb))
        progress = stack.enter_context(Progress(options.steps, quiet=args.quiet))
        progress.message(
            f"{member} on {experiment.task}, seed {args.seed}, {device}: "
            f"{agent.parameter_count():,} parameters, replay of {rows:,} rows on "
            f"{replay.device} ({replay.nbytes / 2**20:,.0f} MiB); run folder {folder}"
        )
        if message:
            progress.message(message)
        states = experiment.reanalysis.states_per_update(agent.planner.horizon)
        speed = _measured(agent, args, options.batch_size, states, progress)
        progress.message(forecast(speed, options, args.num_envs, seed_steps))
        Trainer(
            agent,
            envs,
            evaluator,
            replay,
            experiment.reanalysis,
            options,
            args.seed,
            logger,
            progress,
            folder,
            film,
        ).run()
    _plot(folder, args.quiet)
    return 0


def _measured(
    agent: POMPCAgent,
    args: argparse.Namespace,
    batch_size: int,
    states: float,
    progress: Progress,
) -> Speed:
    """The agent's speed, compiled first where that was asked for and works."""
    if args.compile:
        progress.message("compiling: about a minute")
        begun = time.perf_counter()
        agent.compile()
        try:
            speed = measure(agent, args.num_envs, batch_size, states)
        except Exception as error:  # compilers fail in many ways; eager does not
            agent.uncompile()
            reason = str(error).strip().splitlines()
            progress.message(
                f"torch.compile failed ({reason[0] if reason else type(error).__name__}): "
                "going on without it"
            )
        else:
            progress.message(f"compiled in {time.perf_counter() - begun:.0f} s")
            return speed
    return measure(agent, args.num_envs, batch_size, states)


def _plot(folder: Path, quiet: bool) -> None:
    curve = folder / "learning_curve.png"
    try:
        plot_learning_curve([folder], curve)
        message = f"learning curve: {curve}"
    except ValueError as error:  # no episode ended yet: nothing to draw, and no harm
        message = f"no learning curve: {error}"
    if not quiet:
        print(message)


def _filming(args: argparse.Namespace) -> tuple[bool, str]:
    if args.no_video:
        return False, ""
    available, reason = rendering_available()
    return available, "" if available else f"no evaluation video: {reason}"


def _evaluate(agent: POMPCAgent, evaluator: Evaluator | None) -> int:
    assert evaluator is not None
    for name, episodes in (
        ("planner", evaluator.planner(agent, 0)),
        ("bare policy", evaluator.policy(agent, 0)),
    ):
        print(
            f"{name}: return {episodes.returns.mean():.1f} +- {episodes.returns.std():.1f} over "
            f"{episodes.returns.size} episodes of {episodes.lengths.mean():.0f} steps"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
