"""One process's share of a run: from the folder, new or taken up, to the end or to a stop."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.analysis.curves import plot_learning_curve
from mppi_zoo.cli import resume
from mppi_zoo.compute.cuda_graphs import CudaRecorder, Recorder
from mppi_zoo.config.gin_config import Experiment
from mppi_zoo.envs import EnvironmentFault, EpisodeVector
from mppi_zoo.runs import folder as run_folder
from mppi_zoo.runs.checkpoint_store import CheckpointStore
from mppi_zoo.runs.lock import locked
from mppi_zoo.runs.metrics import MetricsLogger
from mppi_zoo.runs.progress import Progress
from mppi_zoo.runs.signals import Interrupted, StopSignals
from mppi_zoo.training import checkpointing
from mppi_zoo.training.checkpointing import Checkpointer
from mppi_zoo.training.evaluation import Evaluator
from mppi_zoo.training.replay import Replay
from mppi_zoo.training.throughput import Speed, forecast, measure
from mppi_zoo.training.trainer import Trainer

# Exit codes of the command line
DONE = 0
REFUSED = 2  # bad input; nothing was begun
FAULT = 3  # the environment, the numbers or the disk failed under way; checkpoints are good
STOPPED = 75  # by a signal, after a checkpoint; EX_TEMPFAIL: the same command may be given again


class Setup(NamedTuple):
    """What a configuration builds, checked, before anything is written."""

    experiment: Experiment
    operative: str  # the whole configuration as text
    member: str
    device: torch.device
    agent: POMPCAgent
    envs: EpisodeVector
    evaluator: Evaluator | None
    film: bool
    rows: int  # of the replay
    replay_device: torch.device


def train(
    setup: Setup,
    args: argparse.Namespace,
    command_line: Sequence[str],
    record: dict[str, Any] | None,
    notes: Sequence[str],
    stop: StopSignals,
) -> int:
    """Train in a new folder, or go on in that of the run with this ``record``; the exit code."""
    options, envs, agent = setup.experiment.training, setup.envs, setup.agent
    changes = ""
    if record is not None:
        changes = resume.accept(args.resume, setup.operative, args.changed, args.force)
    notes = [*notes, _restoring(setup)]
    replay = Replay(
        envs.spec,
        setup.rows,
        agent.planner.horizon,
        envs.num_envs,
        device=setup.replay_device,
        batch_device=setup.device,
    )
    folder = _new_folder(setup, args, command_line) if record is None else args.resume
    with contextlib.ExitStack() as stack:
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
            f"{setup.member} on {setup.experiment.task}, seed {args.seed}, {setup.device}: "
            f"{agent.parameter_count():,} parameters, replay of {setup.rows:,} rows on "
            f"{replay.device} ({replay.nbytes / 2**20:,.0f} MiB); run folder {folder}"
        )
        for text in (*notes, no_locks, *store.refused):
            if text:
                progress.message(text)
        speed = _measured(setup, args, progress)
        seed_steps = options.seed_phase(envs.spec.episode_length)
        progress.message(forecast(speed, options, envs.num_envs, seed_steps))
        trainer = Trainer(
            agent,
            envs,
            setup.evaluator,
            replay,
            setup.experiment.reanalysis,
            options,
            args.seed,
            logger,
            progress,
            folder,
            setup.film,
        )
        checkpointer = Checkpointer(store, trainer, logger, options.checkpoint_minutes)
        if record is not None:
            if opened is not None:
                _tell_lost(checkpointer.restore(opened), progress)
            if changes:
                progress.message(f"changed since the run began:\n{changes}")
                resume.keep_config(folder, setup.operative, trainer.state.step)
            step = trainer.state.step
            others = run_folder.log_session(folder, step, command_line, str(setup.device))
            if others:
                progress.message(f"not as when the run began: {'; '.join(others)}")
            more = "; it is finished: --steps N --force makes it longer" if trainer.finished else ""
            progress.message(f"resumed at step {trainer.state.step:,}{more}")
        code = _to_the_end(trainer, checkpointer, stop)
    if code == DONE:
        _plot(folder, args.quiet)
    return code


def _to_the_end(trainer: Trainer, checkpointer: Checkpointer, stop: StopSignals) -> int:
    """Train to the end, or until a signal or a fault; returns the exit code."""
    go_on = f"python -m mppi_zoo.run --resume {trainer.folder}"

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
                f"stopped by {signal} at step {trainer.state.step}, checkpoint {path}; "
                f"go on with: {go_on}",
                file=sys.stderr,
            )
            return STOPPED
    except (EnvironmentFault, FloatingPointError, OSError) as error:
        step = checkpointer.latest
        kept = "there is no checkpoint yet" if step is None else f"step {step} is kept"
        print(f"error: {error}\n{kept}; go on with: {go_on}", file=sys.stderr)
        return FAULT


def _new_folder(setup: Setup, args: argparse.Namespace, command_line: Sequence[str]) -> Path:
    return run_folder.create(
        args.out,
        member=setup.member,
        task=setup.experiment.task,
        seed=args.seed,
        command_line=command_line,
        operative_gin=setup.operative,
        device=str(setup.device),
        facts={
            "spec": asdict(setup.envs.spec),
            "imports": args.imports,
            "action_bounds": setup.envs.action_bounds,
            "options": resume.options(args, str(setup.device)),
            "wandb_id": uuid.uuid4().hex[:12],
        },
    )


def _restoring(setup: Setup) -> str:
    reason = setup.envs.not_restorable()
    if not reason:
        return ""
    return (
        f"{setup.experiment.task} cannot be restored within an episode, since {reason}: a resumed "
        "run starts a new episode, and is not bit-identical to one that went on"
    )


def _tell_lost(lost: np.ndarray, progress: Progress) -> None:
    if lost.any():
        progress.message(
            f"environments {np.flatnonzero(lost).tolist()} did not come back to where they were: "
            "new episodes have begun"
        )


def _wandb(args: argparse.Namespace, folder: Path) -> dict[str, str] | None:
    if args.wandb is None:
        return None
    identity = run_folder.read(folder)["wandb_id"]
    return {"project": args.wandb, "name": folder.name, "id": identity, "resume": "allow"}


def _measured(setup: Setup, args: argparse.Namespace, progress: Progress) -> Speed:
    """The agent's speed, compiled and recorded first where that was asked for and works."""
    agent, experiment = setup.agent, setup.experiment
    sizes = (
        setup.envs.num_envs,
        experiment.training.batch_size,
        experiment.reanalysis.states_per_update(agent.planner.horizon),
    )
    recorder = recorder_for(setup.device) if args.compile or args.graphs else None
    if recorder is not None:
        agent.record(recorder, progress.message)
    elif args.graphs:
        progress.message(f"no CUDA graphs on {setup.device}: going on without them")
    if not args.compile:
        return measure(agent, *sizes)
    progress.message("compiling: about a minute" + (", then CUDA graphs" if recorder else ""))
    begun = time.perf_counter()
    try:
        agent.compile()
        speed = measure(agent, *sizes)
    except Exception as error:  # compilers fail in many ways; eager does not
        agent.uncompile()
        reason = str(error).strip().splitlines()
        progress.message(
            f"torch.compile failed ({reason[0] if reason else type(error).__name__}): "
            f"going on without it{', with CUDA graphs alone' if recorder else ''}"
        )
        return measure(agent, *sizes)
    progress.message(f"compiled in {time.perf_counter() - begun:.0f} s")
    return speed


def recorder_for(device: torch.device) -> Recorder | None:
    """What records plans and updates on a device; None where there are no graphs."""
    return CudaRecorder(device) if device.type == "cuda" else None


def _plot(folder: Path, quiet: bool) -> None:
    curve = folder / "learning_curve.png"
    try:
        plot_learning_curve([folder], curve)
        message = f"learning curve: {curve}"
    except ValueError as error:  # no episode ended yet: nothing to draw, and no harm
        message = f"no learning curve: {error}"
    if not quiet:
        print(message)
