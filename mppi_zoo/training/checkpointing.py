"""Checkpoints of a run: what they hold, when they are written, how one is restored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mppi_zoo.core.rng import process_state, restore_process
from mppi_zoo.runs.checkpoint_store import CheckpointStore, Opened
from mppi_zoo.runs.metrics import MetricsLogger, Position, check_position
from mppi_zoo.runs.row_log import Segment
from mppi_zoo.training.lost_rows import forget_rows
from mppi_zoo.training.trainer import Trainer

FOLDER = "state"
ARRAYS = ("episode", "seeds", "obs")  # of the environments' state, in all versions


class Checkpointer:
    """Writes the checkpoints of one run.

    Args:
        store: where they go.
        trainer: whose state they hold.
        logger: whose position they note.
        minutes: between two of them; 0 writes none by itself.
        clock: seconds, never set back: the time of day may jump.
    """

    def __init__(
        self,
        store: CheckpointStore,
        trainer: Trainer,
        logger: MetricsLogger,
        minutes: float,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.store, self.trainer, self.logger = store, trainer, logger
        self.interval, self.clock = 60 * minutes, clock
        self.last = clock()
        self.latest: int | None = None  # agent step of the newest checkpoint
        self.path: Path | None = None  # its manifest

    def save_if_due(self) -> None:
        """Write a checkpoint if the interval has passed, or an evaluation begins.

        An evaluation beside the training can be repeated only from before it began: until it has
        ended, no other checkpoint is written.
        """
        trainer = self.trainer
        if trainer.evaluations.under_way is not None:
            return
        due = self.interval and self.clock() - self.last >= self.interval
        if due or trainer.evaluations.starts_beside(trainer.state):
            self.save()

    def save_at_stop(self) -> Path:
        """Write a checkpoint, unless the stop cut an evaluation off; returns the newest manifest.

        Then the checkpoint from before that evaluation is the one to go on from.

        Raises:
            As :meth:`save`.
        """
        if self.path is not None and self.trainer.evaluations.abandoned:
            return self.path
        return self.save()

    def restore(self, opened: Opened) -> np.ndarray:
        """Bring the trainer to a checkpoint.

        Returns:
            [N] bool, the environments whose episode could not be restored: a new one has begun.

        Raises:
            ValueError: the checkpoint does not fit the configuration.
        """
        replay = self.trainer.replay
        segments: dict[str, Any] = {name: opened.segments(name) for name in replay.logs}
        try:
            lost = restore_state(self.trainer, opened.content, segments, opened.lost)
        except (KeyError, IndexError, RuntimeError, TypeError, AttributeError) as error:
            raise ValueError(f"{opened.path} does not fit the configuration: {error}") from error
        if opened.content["replay"]["lane_rows"] == replay.lane_rows:
            self.store.adopt(opened)
        self.latest, self.path = opened.manifest["step"], opened.path
        return lost

    def save(self) -> Path:
        """Write a checkpoint now, between two units of training; returns its manifest.

        Raises:
            Diverged: parameters are not finite; the checkpoints before stay.
            OSError: it could not be written; the checkpoints before stay.
        """
        trainer = self.trainer
        step, updates = trainer.state.step, trainer.state.updates
        trainer.health.check()
        trainer.health.check_parameters(step)
        position = self.logger.position(step)
        path = self.store.save(
            take_state(trainer),
            trainer.replay.logs,
            {"step": step, "updates": updates, "position": position._asdict()},
        )
        self.last, self.latest, self.path = self.clock(), step, path
        while self.store.aside:
            trainer.progress.message(self.store.aside.pop(0))
        return path


def take_state(trainer: Trainer) -> dict[str, Any]:
    """Everything that the rest of a training depends on, between two of its units, as plain data.

    The replay's rows are not in it: the replay's logs hold them.
    """
    envs = trainer.envs.state_dict(~trainer.waiting)
    return {
        **trainer.state.state_dict(),
        "agent": trainer.agent.state_dict(),
        "replay": trainer.replay.state_dict(),
        "warm_start": trainer.actor.warm_start,
        "envs": {
            **{name: torch.from_numpy(envs[name]) for name in (*ARRAYS, "within")},
            "actions": [torch.from_numpy(taken) for taken in envs["actions"]],
        },
        "generators": trainer.generators.state_dict(),
        "process": process_state(),
        **trainer.callbacks.state_dict(),
    }


def restore_state(
    trainer: Trainer,
    state: dict[str, Any],
    segments: Mapping[str, Iterable[Segment]],
    lost_rows: Mapping[str, Tensor] = MappingProxyType({}),
) -> np.ndarray:
    """Bring a new trainer to a state that :func:`take_state` gave.

    Args:
        segments: the replay's rows, for each of its logs, oldest first.
        lost_rows: of each log, the rows [n] that no segment has any more.

    Returns:
        [N] bool, the environments whose episode could not be restored: a new one has begun.

    Raises:
        ValueError, KeyError, RuntimeError: the state is of a run with other sizes.
    """
    # agent, replay, counters and callbacks
    trainer.agent.load_state_dict(state["agent"])
    trainer.replay.load_state_dict(state["replay"], segments)
    forget_rows(trainer.replay, lost_rows, int(state["replay"]["lane_rows"]))
    trainer.state.load_state_dict(state)
    trainer.actor.warm_start.copy_(state["warm_start"])
    trainer.callbacks.load_state_dict(state)

    # environments, each within its episode
    envs = {name: state["envs"][name].numpy() for name in ARRAYS}
    all_within = torch.ones(len(envs["seeds"]), dtype=torch.bool)  # in states of earlier versions
    envs["within"] = state["envs"].get("within", all_within).numpy()
    envs["actions"] = [taken.numpy() for taken in state["envs"]["actions"]]
    lost = trainer.envs.load_state_dict(envs)
    trainer.waiting[:] = ~envs["within"]
    trainer.obs = trainer.envs.observations()

    # where that failed, a new episode begins
    trainer.state.begin_episodes(lost)
    trainer.replay.end_episodes(lost)
    trainer.actor.reset(lost)

    # randomness last: what came before may have drawn some
    trainer.generators.load_state_dict(state["generators"], trainer.seed, trainer.state.step)
    restore_process(state["process"])
    return lost


def newest(store: CheckpointStore, folder: Path) -> Opened | None:
    """The newest checkpoint that can be used and fits the metrics; None if there never was one.

    Raises:
        ValueError: there are checkpoints, and none of them is good.
    """
    return store.open_newest(lambda opened: check_position(folder, position(opened)))


def position(opened: Opened | None) -> Position:
    """Where the metrics end at a checkpoint; at their beginning without one."""
    if opened is None:
        return Position(0, 0, 0)
    try:
        return Position(*(int(opened.manifest["position"][name]) for name in Position._fields))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"its position in the metrics cannot be read ({error})") from error
