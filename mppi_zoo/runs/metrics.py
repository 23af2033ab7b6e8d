"""The metrics of a run, written to CSV files, one value a row, and to TensorBoard and W&B.

``metrics.csv`` holds nothing that depends on the clock: two runs with the same seed write the same
bytes. Times and speeds go to ``timing.csv``.
"""

from __future__ import annotations

import contextlib
import operator
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, SupportsFloat, TextIO

import numpy as np

from mppi_zoo.core.extras import require
from mppi_zoo.runs.trackers import About, TensorBoard, Tracker, WandB

METRICS_COLUMNS = ("step", "split", "metric", "value")
TIMING_COLUMNS = ("step", "metric", "value")

NOTHING = About()  # known of the run

_NAME = re.compile(r"[\w./:+-]+")


class Position(NamedTuple):
    """The lengths of a run's CSV files at a checkpoint."""

    step: int  # agent steps
    metrics: int  # bytes of metrics.csv
    timing: int  # bytes of timing.csv


class MetricsLogger:
    """Appends metrics to the files of one run folder.

    Args:
        folder: the run folder; made if missing.
        tensorboard: also write event files to ``folder/tensorboard``; the global step is the
            agent step.
        wandb: if given, also log to Weights & Biases; keyword arguments of ``wandb.init``.
        about: the run, of which both are told.
        resume_at: continue the files of an interrupted run at this position. Rows after it, perhaps
            with an incomplete last line, are removed, since the resumed run writes them again.
        waits: change nothing on disk before :meth:`begin` is called.

    Raises:
        FileExistsError: the folder has metrics already and ``resume_at`` is not given.
        ImportError: ``wandb`` is given but the package is missing.
        ValueError: ``resume_at`` does not fit the files.
    """

    def __init__(
        self,
        folder: Path,
        tensorboard: bool = True,
        wandb: dict[str, Any] | None = None,
        about: About = NOTHING,
        resume_at: Position | None = None,
        waits: bool = False,
    ) -> None:
        self.folder, self._resume_at = Path(folder), resume_at
        self._with_tensorboard, self._with_wandb = tensorboard, wandb
        self._about = about
        if wandb is not None:
            require("wandb")
        self._metrics: TextIO | None = None
        self._timing: TextIO | None = None
        self._held: list[Callable[[], None]] | None = None  # what is written later
        self._trackers: list[Tracker] = []
        for name, _, _ in _files(Position(0, 0, 0)):
            path = self.folder / name
            if resume_at is None and path.exists() and path.stat().st_size:
                raise FileExistsError(
                    f"{path} holds metrics already: pass resume_at to continue that run, "
                    "or log to another folder"
                )
        if resume_at is not None:
            check_position(self.folder, resume_at)
        if not waits:
            self.begin()

    def begin(self) -> None:
        """Open the files, where the logger was told to wait; rows after ``resume_at`` go."""
        at = self._resume_at
        self.folder.mkdir(parents=True, exist_ok=True)
        self._metrics, self._timing = (
            _open(self.folder / name, columns, length)
            for name, columns, length in _files(at or Position(0, 0, 0))
        )
        if self._with_tensorboard:
            purge = None if at is None else at.step + 1
            self._trackers.append(TensorBoard(self.folder, purge, self._about))
        if self._with_wandb is not None:
            self._trackers.append(WandB(self.folder, self._with_wandb, self._about))

    def write(self, step: int, split: str, values: Mapping[str, SupportsFloat]) -> None:
        """Appends one row per value to ``metrics.csv``; on disk when this returns.

        Args:
            step: agent steps done so far.
            split: what was measured, e.g. ``train``, ``eval``, ``eval_policy``.
            values: numbers by metric name; tensors and arrays of one element are converted.

        Raises:
            ValueError: a name that does not fit a CSV cell, or a negative step.
            TypeError: a value that is not one number, or a step that is not an integer.
            OSError: the rows cannot be written, or the file was deleted or moved.
        """
        self._record(self._metrics, step, (_name(split),), values)

    def timing(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Appends one row per value to ``timing.csv``; otherwise as ``write``."""
        self._record(self._timing, step, (), values)

    def hold(self) -> None:
        """Keep what is written from now on in memory until :meth:`release`."""
        self._held = []

    def release(self, first: Callable[[], None] = lambda: None) -> None:
        """Write what was held, after what the function ``first`` writes."""
        held, self._held = self._held or [], None
        first()
        for write in held:
            write()

    def video(self, step: int, file: Path, frames: Sequence[np.ndarray], fps: float) -> None:
        """Give a film to TensorBoard and W&B: pictures [height, width, 3] uint8 and its MP4 file.

        Raises:
            Exception: it cannot be encoded or read; no caller may let a film stop a run.
        """
        for tracker in self._trackers:
            tracker.video(step, file, frames, fps)

    def position(self, step: int) -> Position:
        """Where the files end now; what they hold is on disk when this returns.

        Nothing may be held.

        Raises:
            FileNotFoundError: a file was deleted or moved.
        """
        assert self._held is None, "what is held has no position yet"
        lengths = []
        for file in (self._metrics, self._timing):
            assert file is not None, "begin was not called"
            _check_there(file)
            file.flush()
            os.fsync(file.fileno())
            lengths.append(os.fstat(file.fileno()).st_size)
        return Position(step, *lengths)

    def close(self) -> None:
        """Closes all files, also where closing one of them fails; may be called twice.

        Raises:
            OSError: what was still to be written could not be, as on a full disk.
        """
        trackers, self._trackers = self._trackers, []
        with contextlib.ExitStack() as stack:
            for tracker in reversed(trackers):
                stack.callback(tracker.close)
            for file in (self._timing, self._metrics):
                if file is not None:
                    stack.callback(file.close)

    def __enter__(self) -> MetricsLogger:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is None:
            self.close()
            return
        with contextlib.suppress(Exception):  # the error that is under way says more
            self.close()

    def _record(
        self,
        file: TextIO | None,
        step: int,
        split: tuple[str, ...],
        values: Mapping[str, SupportsFloat],
    ) -> None:
        assert file is not None, "begin was not called"
        step = operator.index(step)
        if step < 0:
            raise ValueError(f"step is {step}, but agent steps are counted from 0")
        numbers = {_name(name): _number(name, value) for name, value in values.items()}
        if self._held is not None:
            self._held.append(lambda: self._append(file, step, split, numbers))
            return
        self._append(file, step, split, numbers)

    def _append(
        self, file: TextIO, step: int, split: tuple[str, ...], numbers: dict[str, float]
    ) -> None:
        # One string and one flush, so that an interruption rarely splits a group of rows.
        rows = (",".join((str(step), *split, name, repr(x))) for name, x in numbers.items())
        file.write("".join(row + "\n" for row in rows))
        file.flush()
        _check_there(file)
        for tracker in self._trackers:
            tracker.numbers(step, split[0] if split else "timing", numbers)


def check_position(folder: Path, position: Position) -> None:
    """Check that the CSV files of a run folder still hold the rows that they had at a checkpoint.

    Raises:
        ValueError: rows are missing, or a file was changed.
    """
    for name, columns, length in _files(position):
        path = Path(folder) / name
        if not length:
            continue
        size = path.stat().st_size if path.exists() else 0
        if size < length:
            raise ValueError(f"{path} has {size} bytes, expected the {length} of this checkpoint")
        with path.open("rb") as file:
            header = file.readline().decode("utf-8", "replace").rstrip("\n")
            file.seek(length - 1)
            ends = file.read(1)
        if header != ",".join(columns) or ends != b"\n":
            raise ValueError(
                f"{path} was changed since this checkpoint: expected the columns "
                f"{','.join(columns)!r} and the end of a line after {length} bytes"
            )


def _files(position: Position) -> tuple[tuple[str, tuple[str, ...], int], ...]:
    return (
        ("metrics.csv", METRICS_COLUMNS, position.metrics),
        ("timing.csv", TIMING_COLUMNS, position.timing),
    )


def _open(path: Path, columns: tuple[str, ...], length: int) -> TextIO:
    """Opens a CSV file for appending after its first ``length`` bytes."""
    if path.exists():
        os.truncate(path, length)
    file = path.open("a", encoding="utf-8", newline="\n", buffering=1)
    if not length:
        file.write(",".join(columns) + "\n")
        file.flush()
    return file


def _check_there(file: TextIO) -> None:
    """Check that an open file still has its name: what is written to a deleted one is lost.

    Raises:
        FileNotFoundError: it has not.
    """
    if not os.path.exists(file.name) or os.fstat(file.fileno()).st_nlink == 0:
        raise FileNotFoundError(
            f"{file.name} was deleted, or its folder moved, while the run was writing to it: put "
            "it back before the run goes on"
        )


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot name a metric or split: use letters, digits and any of _ . / : + -"
        )
    return name


def _number(name: str, value: SupportsFloat) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"metric {name!r} is {value!r}, expected one number: reduce it first, e.g. by .mean()"
        ) from error
