"""When a run is checkpointed, and how it is taken up again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mppi_zoo.runs.checkpoint_store import CheckpointStore, Opened
from mppi_zoo.runs.metrics import MetricsLogger, Position, check_position
from mppi_zoo.training import trainer_state
from mppi_zoo.training.trainer import Trainer

FOLDER = "state"


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

    def save_if_due(self) -> None:
        """Write a checkpoint if the interval has passed."""
        if self.interval and self.clock() - self.last >= self.interval:
            self.save()

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
            lost = trainer_state.restore(self.trainer, opened.content, segments)
        except (KeyError, RuntimeError) as error:
            raise ValueError(f"{opened.path} does not fit the configuration: {error}") from error
        if opened.content["replay"]["lane_rows"] == replay.lane_rows:
            self.store.adopt(opened)
        self.latest = opened.manifest["step"]
        return lost

    def save(self) -> Path:
        """Write a checkpoint now, between two units of training; returns its manifest.

        Raises:
            Diverged: parameters are not finite; the checkpoints before stay.
            OSError: it could not be written; the checkpoints before stay.
        """
        trainer = self.trainer
        trainer.health.check(trainer.agent)
        trainer.health.check_parameters(trainer.agent, trainer.step)
        position = self.logger.position(trainer.step)
        path = self.store.save(
            trainer_state.take(trainer),
            trainer.replay.logs,
            {"step": trainer.step, "updates": trainer.updates, "position": position._asdict()},
        )
        self.last, self.latest = self.clock(), trainer.step
        return path


def newest(store: CheckpointStore, folder: Path) -> Opened | None:
    """The newest checkpoint that is whole and fits the metrics; None if there never was one.

    Raises:
        ValueError: there are checkpoints, and none of them is good.
    """
    while (opened := store.open_newest()) is not None:
        try:
            check_position(folder, position(opened))
        except ValueError as error:
            store.refuse(opened.path, str(error))
        else:
            return opened
    if store.refused:
        raise ValueError(store.none_left())
    return None


def position(opened: Opened | None) -> Position:
    """Where the metrics end at a checkpoint; at their beginning without one."""
    return Position(0, 0, 0) if opened is None else Position(**opened.manifest["position"])
