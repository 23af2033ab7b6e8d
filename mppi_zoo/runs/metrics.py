"""The metrics of a run, written to CSV files, one value a row, and to TensorBoard and W&B.

``metrics.csv`` holds nothing that depends on the clock: two runs with the same seed write the same
bytes. Times and speeds go to ``timing.csv``.
"""

from __future__ import annotations

import contextlib
import importlib
import operator
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, SupportsFloat, TextIO

METRICS_COLUMNS = ("step", "split", "metric", "value")
TIMING_COLUMNS = ("step", "metric", "value")

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
        resume_at: Position | None = None,
        waits: bool = False,
    ) -> None:
        self.folder, self._resume_at = Path(folder), resume_at
        self._with_tensorboard, self._with_wandb = tensorboard, wandb
        self._wandb_module = import_wandb() if wandb is not None else None
        self._metrics: TextIO | None = None
        self._timing: TextIO | None = None
        self._tensorboard = None
        self._wandb = None
        self._held: list[Callable[[], None]] | None = None  # what is written later
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
            from torch.utils.tensorboard import SummaryWriter  # slow to import

            purge = None if at is None else at.step + 1
            self._tensorboard = SummaryWriter(str(self.folder / "tensorboard"), purge_step=purge)
        if self._wandb_module is not None:
            settings = {"dir": str(self.folder), **(self._with_wandb or {})}
            self._wandb = self._wandb_module.init(**settings)
            # W&B's own step must never decrease; ours may, as an evaluation is logged afterwards.
            self._wandb.define_metric("*", step_metric="agent_step")

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
        tensorboard, self._tensorboard = self._tensorboard, None
        wandb, self._wandb = self._wandb, None
        with contextlib.ExitStack() as stack:
            if wandb is not None:
                stack.callback(wandb.finish)
            if tensorboard is not None:
                stack.callback(tensorboard.close)
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
        prefix = split[0] if split else "timing"
        tagged = {f"{prefix}/{name}": number for name, number in numbers.items()}
        if self._tensorboard is not None:
            for tag, number in tagged.items():
                self._tensorboard.add_scalar(tag, number, global_step=step)
        if self._wandb is not None:
            self._wandb.log({**tagged, "agent_step": step})


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


def import_wandb() -> Any:
    """The package.

    Raises:
        ImportError: it is missing; says how to install it.
    """
    try:
        module = importlib.import_module("wandb")
    except ImportError:
        module = None
    # Offline runs leave a folder wandb/ in the working directory; it imports as an empty package.
    if not hasattr(module, "init"):
        raise ImportError(
            "logging to Weights & Biases needs the package wandb: pip install 'mppi_zoo[wandb]', "
            "or leave the wandb setting out"
        )
    return module
