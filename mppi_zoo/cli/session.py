"""What one process does for a run: from its folder, new or resumed, to the end or to a stop."""

from __future__ import annotations

import argparse
import contextlib
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mppi_zoo.cli import machine, resume, tracking
from mppi_zoo.cli.acceleration import accelerate
from mppi_zoo.cli.setup import Setup
from mppi_zoo.compute.threads import usable_cores
from mppi_zoo.runs import folder as run_folder
from mppi_zoo.runs.checkpoint_store import CheckpointStore, Opened
from mppi_zoo.runs.lock import locked
from mppi_zoo.runs.metrics import MetricsLogger
from mppi_zoo.runs.outcome import DONE, STOPPED, Attempt, describe
from mppi_zoo.runs.progress import Progress
from mppi_zoo.runs.signals import Interrupted, StopSignals
from mppi_zoo.training import checkpointing
from mppi_zoo.training.callbacks import CallbackFault
from mppi_zoo.training.checkpointing import Checkpointer
from mppi_zoo.training.replay import Replay
from mppi_zoo.training.trainer import Trainer


class OpenRun(NamedTuple):
    """A run folder that this process holds, and what writes to it."""

    folder: Path
    store: CheckpointStore
    checkpoint: Opened | None  # the one to go on from; None to begin
    logger: MetricsLogger
    progress: Progress
    warnings: list[str]  # what the user should know of the folder


def train(
    setup: Setup,
    args: argparse.Namespace,
    command_line: Sequence[str],
    record: dict[str, Any] | None,
    stop: StopSignals,
    attempt: Attempt,
) -> int:
    """Train in a new folder, or go on in that of the run with this ``record``.

    Args:
        attempt: told when the run has begun, so that errors from then on are faults.

    Returns:
        The exit code.

    Raises:
        ValueError, OSError: the folder cannot be used, or the run in it not resumed.
        Exception: a fault under way, of the environment, a part, the numbers or the disk.
    """
    options = setup.experiment.training
    changes = ""  # of the configuration; refused before anything is made or opened
    if record is not None:
        changes = resume.accept(args.resume, setup.operative, args.changed, args.force)
    notes = [setup.note, _restoring(setup)]
    replay = _replay(setup)
    folder = _new_folder(setup, args, command_line) if record is None else args.resume
    go_on = resume.command(folder, args.imports, setup.experiment.task)
    attempt.begun, attempt.advice = record is None, lambda: _advice(go_on, None)
    with contextlib.ExitStack() as stack:
        run = _open(stack, folder, setup, args, resumed=record is not None)
        _announce(run, setup, args, replay, notes)
        copies = machine.may_copy(setup, args)
        speed = accelerate(setup, args, run.progress.message, copies=copies)
        forecast = machine.forecast(speed, setup, args)
        run.progress.message(forecast.text(run.progress.step))
        run.progress.expect(forecast.left)
        trainer = _trainer(run, setup, args.seed, replay, machine.when_beside(args, forecast))
        checkpointer = Checkpointer(run.store, trainer, run.logger, options.checkpoint_minutes)
        if record is not None:
            _restore(run, checkpointer)
        attempt.begun, attempt.advice = True, lambda: _advice(go_on, checkpointer.latest)
        run.logger.begin()  # from here on the folder changes
        _note_failed_compiling(run, setup, args)
        if record is not None:
            _note_resumed(run, setup, trainer, command_line, changes)
        code = attempt.code = _to_the_end(trainer, checkpointer, stop, go_on)
    if code == DONE:
        _plot(folder, args.quiet)
    return code


def _replay(setup: Setup) -> Replay:
    return Replay(
        setup.envs.spec,
        setup.rows,
        setup.execution.agent.planner.horizon,
        setup.envs.num_envs,
        device=setup.replay_device,
        batch_device=setup.device,
        sampling=setup.experiment.sampling,
        episode_returns=setup.execution.agent.objective.needs_return,
        past_the_end=setup.experiment.past_the_end,
    )


def _open(
    stack: contextlib.ExitStack,
    folder: Path,
    setup: Setup,
    args: argparse.Namespace,
    *,
    resumed: bool,
) -> OpenRun:
    """Lock the folder and open what is in it; ``stack`` closes and unlocks."""
    options = setup.experiment.training
    no_locks = stack.enter_context(locked(folder))
    store = CheckpointStore(folder / checkpointing.FOLDER, options.checkpoints_kept)
    checkpoint = checkpointing.newest(store, folder) if resumed else None
    position = checkpointing.position(checkpoint)
    resume_at = position if resumed else None
    watching = tracking.watching(setup, args, folder)
    logger = MetricsLogger(folder, resume_at=resume_at, waits=True, **watching)
    stack.enter_context(logger)
    progress = stack.enter_context(Progress(options.steps, position.step, quiet=args.quiet))
    return OpenRun(folder, store, checkpoint, logger, progress, [no_locks, *store.refused])


def _announce(
    run: OpenRun, setup: Setup, args: argparse.Namespace, replay: Replay, notes: Sequence[str]
) -> None:
    """Say what is trained where, and what is amiss."""
    tell, parts = run.progress.message, setup.execution.agent.parts
    tell(
        f"{setup.member} on {setup.experiment.task}, seed {args.seed}, {setup.device}, "
        f"{args.threads} thread(s) on {usable_cores()} core(s), "
        f"{'compiled' if args.compile else 'eager'}: "
        f"{parts.parameter_count():,} parameters, replay of {setup.rows:,} rows on "
        f"{replay.device} ({replay.nbytes / 2**20:,.0f} MiB); run folder {run.folder}"
    )
    for text in (*notes, *run.warnings):
        if text:
            tell(text)


def _note_failed_compiling(run: OpenRun, setup: Setup, args: argparse.Namespace) -> None:
    """``run.json`` says how the run's numbers came about; a new one's is mended if it does not."""
    if args.compile and not setup.execution.compiled and run.checkpoint is None:
        args.compile = False
        run_folder.amend(run.folder, options=resume.options(args, str(setup.device)))


def _trainer(
    run: OpenRun, setup: Setup, seed: int, replay: Replay, beside: Callable[[], bool] | None
) -> Trainer:
    return Trainer(
        setup.execution,
        setup.envs,
        setup.evaluator,
        replay,
        setup.experiment.reanalysis,
        setup.experiment.training,
        seed,
        run.logger,
        run.progress,
        run.folder,
        setup.film,
        beside,
        setup.experiment.callbacks,
    )


def _restore(run: OpenRun, checkpointer: Checkpointer) -> None:
    """Bring the trainer to the run's checkpoint, if there is one; nothing is written yet."""
    if run.checkpoint is None:
        return
    _tell_lost(checkpointer.restore(run.checkpoint), run.progress)
    rows = _rows_lost(run)
    if rows:
        print(  # even if all else is quiet
            f"warning: {rows:,} rows of the replay are lost, since {run.checkpoint.damage}. The "
            "run goes on without them, and is not bit-identical to one that lost none",
            file=sys.stderr,
        )


def _rows_lost(run: OpenRun) -> int:
    lost = {} if run.checkpoint is None else run.checkpoint.lost
    return len(set().union(*(rows.tolist() for rows in lost.values())))


def _note_resumed(
    run: OpenRun, setup: Setup, trainer: Trainer, command_line: Sequence[str], changes: str
) -> None:
    """Note in the folder that the run was taken up, and say what is different now."""
    tell, step = run.progress.message, trainer.state.step
    if changes:
        tell(f"changed since the run began:\n{changes}")
        resume.keep_config(run.folder, setup.operative, step)
    lost = {"replay_rows_lost": rows} if (rows := _rows_lost(run)) else {}
    others = run_folder.log_session(run.folder, step, command_line, str(setup.device), lost)
    if others:
        tell(f"not as when the run began: {'; '.join(others)}")
    more = "; it is finished: --steps N --force makes it longer" if trainer.finished else ""
    tell(f"resumed at step {step:,}{more}")


def _to_the_end(trainer: Trainer, checkpointer: Checkpointer, stop: StopSignals, go_on: str) -> int:
    """Train to the end, or until a signal; returns the exit code."""

    def between() -> None:
        stop.check()
        checkpointer.save_if_due()

    try:
        trainer.run(between)
        checkpointer.save()
        return DONE
    except CallbackFault:  # between two units, so that nothing is lost
        checkpointer.save()
        raise
    except Interrupted as signal:
        path = checkpointer.save_at_stop()
        kept = (
            f" of step {checkpointer.latest}" if trainer.state.step != checkpointer.latest else ""
        )
        print(
            f"stopped by {signal} at step {trainer.state.step}, checkpoint{kept} {path}; "
            f"go on with: {go_on}",
            file=sys.stderr,
        )
        return STOPPED


def _advice(go_on: str, step: int | None) -> str:
    """How to go on after a fault, with the newest checkpoint at this step."""
    kept = "there is no checkpoint yet" if step is None else f"step {step} is kept"
    return f"{kept}; go on with: {go_on}"


def _new_folder(setup: Setup, args: argparse.Namespace, command_line: Sequence[str]) -> Path:
    rate = setup.experiment.training.rate
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
            "env_args": dict(setup.experiment.env.arguments or {}),
            "action_bounds": setup.envs.action_bounds,
            "action_repeat": setup.envs.action_repeat,
            "control_hz": None if rate is None else 1 / rate.period,
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


def _plot(folder: Path, quiet: bool) -> None:
    curve = folder / "learning_curve.png"
    try:
        # here: pandas takes a second to import, and belongs to an extra
        from mppi_zoo.analysis import learning_curve

        learning_curve.plot_learning_curve([folder], curve)
        message = f"learning curve: {curve}"
    # no episode ended yet, a full disk, no such package: the run is complete all the same
    except Exception as error:
        message = f"no learning curve: {describe(error)}"
    if not quiet:
        print(message)
