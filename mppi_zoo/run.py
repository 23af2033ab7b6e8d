"""Train or evaluate: ``python -m mppi_zoo.run --gin gin/tdmpc2_equiv.gin``.

The composition root: only here are gin and the command line read, seeds set, a device picked.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from mppi_zoo import checkpointing, config, resume, run_folder, validation
from mppi_zoo.agent import POMPCAgent
from mppi_zoo.checkpoint import load_agent, size_macros
from mppi_zoo.checkpoint_store import CheckpointStore
from mppi_zoo.command_line import overrides, parser, pick_device
from mppi_zoo.curves import plot_learning_curve
from mppi_zoo.envs import EnvironmentFault, EpisodeVector, rendering_available
from mppi_zoo.evaluation import Evaluator
from mppi_zoo.metrics import MetricsLogger
from mppi_zoo.progress import Progress
from mppi_zoo.replay import Replay, replay_bytes
from mppi_zoo.run_lock import locked
from mppi_zoo.runner import Trainer
from mppi_zoo.signals import Interrupted, StopSignals
from mppi_zoo.speed import Speed, forecast, measure

# Exit codes
DONE = 0
REFUSED = 2  # bad input; nothing was begun
FAULT = 3  # the environment, the numbers or the disk failed under way; checkpoints are good
STOPPED = 75  # by a signal, after a checkpoint; EX_TEMPFAIL: the same command may be given again


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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = parser().parse_args(argv)
    arguments = sys.argv[1:] if argv is None else argv
    try:
        with StopSignals() as stop:
            return run(args, ["python", "-m", "mppi_zoo.run", *arguments], stop)
    except Interrupted as signal:
        print(f"stopped by {signal} before the run began", file=sys.stderr)
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
        agent = build_agent(experiment, envs, args.seed, device)
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
        changes = ""
        if record is not None:
            changes = resume.accept(args.resume, operative, args.changed, args.force)
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
            return _evaluate(agent, evaluator)
        not_restorable = envs.not_restorable()
        replay = Replay(
            envs.spec,
            rows,
            agent.planner.horizon,
            args.num_envs,
            device=host,
            batch_device=device,
        )
        if record is None:
            folder = run_folder.create(
                args.out,
                member=member,
                task=experiment.task,
                seed=args.seed,
                command_line=command_line,
                operative_gin=operative,
                device=str(device),
                facts={
                    "spec": asdict(envs.spec),
                    "imports": args.imports,
                    "action_bounds": envs.action_bounds,
                    "options": resume.options(args, str(device)),
                    "wandb_id": uuid.uuid4().hex[:12],
                },
            )
        else:
            folder = args.resume
        no_locks = stack.enter_context(locked(folder))
        store = CheckpointStore(folder / checkpointing.FOLDER, options.checkpoints_kept)
        opened = None if record is None else checkpointing.newest(store, folder)
        position = checkpointing.position(opened)
        logger = stack.enter_context(
            MetricsLogger(
                folder,
                wandb=_wandb(args, folder),
                resume_at=None if record is None else position,
            )
        )
        progress = stack.enter_context(Progress(options.steps, position.step, quiet=args.quiet))
        progress.message(
            f"{member} on {experiment.task}, seed {args.seed}, {device}: "
            f"{agent.parameter_count():,} parameters, replay of {rows:,} rows on "
            f"{replay.device} ({replay.nbytes / 2**20:,.0f} MiB); run folder {folder}"
        )
        if not_restorable:
            not_restorable = (
                f"{experiment.task} cannot be restored within an episode, since {not_restorable}: "
                "a resumed run starts a new episode, and is not bit-identical to one that went on"
            )
        for text in (message, no_locks, not_restorable, *store.refused):
            if text:
                progress.message(text)
        states = experiment.reanalysis.states_per_update(agent.planner.horizon)
        speed = _measured(agent, args, options.batch_size, states, progress)
        progress.message(
            forecast(speed, options, args.num_envs, options.seed_phase(envs.spec.episode_length))
        )
        trainer = Trainer(
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
        )
        checkpointer = checkpointing.Checkpointer(
            store, trainer, logger, options.checkpoint_minutes
        )
        if record is not None:
            if opened is not None:
                lost = checkpointer.restore(opened)
                if lost.any():
                    progress.message(
                        f"environments {np.flatnonzero(lost).tolist()} did not come back to where "
                        "they were: new episodes have begun"
                    )
            if changes:
                progress.message(f"changed since the run began:\n{changes}")
                resume.keep_config(folder, operative, trainer.step)
            others = run_folder.log_session(folder, trainer.step, command_line, str(device))
            progress.message(f"resumed at step {trainer.step}")
            if others:
                progress.message(f"not as when the run began: {'; '.join(others)}")
        code = _train(trainer, checkpointer, stop)
    if code == DONE:
        _plot(folder, args.quiet)
    return code


def _train(trainer: Trainer, checkpointer: checkpointing.Checkpointer, stop: StopSignals) -> int:
    """Train to the end, or until a signal or a fault; returns the exit code."""
    folder = trainer.folder
    go_on = f"python -m mppi_zoo.run --resume {folder}"

    def between() -> None:
        stop.check()
        checkpointer.save_if_due()

    try:
        try:
            trainer.run(between)
            checkpointer.save()
            return DONE
        except Interrupted as signal:
            path = checkpointer.save()
            print(
                f"stopped by {signal} at step {trainer.step}, checkpoint {path}; "
                f"go on with: {go_on}",
                file=sys.stderr,
            )
            return STOPPED
    except (EnvironmentFault, FloatingPointError, OSError) as error:
        kept = checkpointer.latest
        where = f"the checkpoint of step {kept}" if kept is not None else "no checkpoint yet"
        print(f"error: {error}\nKept: {where}; go on with: {go_on}", file=sys.stderr)
        return FAULT


def _wandb(args: argparse.Namespace, folder: Path) -> dict[str, str] | None:
    if args.wandb is None:
        return None
    identity = run_folder.read(folder)["wandb_id"]
    return {"project": args.wandb, "name": folder.name, "id": identity, "resume": "allow"}


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
