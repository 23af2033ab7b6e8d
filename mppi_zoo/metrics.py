"""What a run measures, written as tidy CSV files and mirrored to TensorBoard and W&B.

``metrics.csv`` holds nothing that depends on the clock, so that it is a pure function of the run's
seed and two runs can be compared byte by byte; all that does goes to ``timing.csv``.
"""

from __future__ import annotations

import importlib
import operator
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, SupportsFloat, TextIO

METRICS_COLUMNS = ("step", "split", "metric", "value")
TIMING_COLUMNS = ("step", "metric", "value")

_NAME = re.compile(r"[\w./:+-]+")


class MetricsLogger:
    """Appends measurements to the files of one run folder.

    Args:
        folder: the run folder; made if missing.
        tensorboard: also write event files to ``folder/tensorboard``; the global step is the
            agent step.
        wandb: if given, also log to Weights & Biases; keyword arguments of ``wandb.init``.
        append: continue the files of an interrupted run, without the incomplete last line that
            the interruption may have left.
        upto_step: with ``append``, also drop the rows later than this agent step, i.e. those that
            the run will write again after it resumed from a checkpoint of this step.

    Raises:
        FileExistsError: the folder has measurements already and ``append`` is False.
        ImportError: ``wandb`` is given but the package is missing.
        ValueError: ``append`` to a file that is not one of these.
    """

    def __init__(
        self,
        folder: Path,
        tensorboard: bool = True,
        wandb: dict[str, Any] | None = None,
        append: bool = False,
        upto_step: int | None = None,
    ) -> None:
        self.folder = Path(folder)
        wandb_module = _import_wandb() if wandb is not None else None
        self.folder.mkdir(parents=True, exist_ok=True)
        files = ((self.folder / "metrics.csv", METRICS_COLUMNS),)
        files += ((self.folder / "timing.csv", TIMING_COLUMNS),)
        for path, _ in files:
            if not append and path.exists() and path.stat().st_size:
                raise FileExistsError(
                    f"{path} holds measurements already: pass append=True to continue that run, "
                    "or log to another folder"
                )
        self._metrics, self._timing = (_open(*file, upto_step) for file in files)
        self._tensorboard = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter  # slow to import

            purge = upto_step + 1 if append and upto_step is not None else None
            self._tensorboard = SummaryWriter(str(self.folder / "tensorboard"), purge_step=purge)
        self._wandb = None
        if wandb_module is not None:
            self._wandb = wandb_module.init(**{"dir": str(self.folder), **(wandb or {})})
            # W&B's own step must not go back, ours may: an evaluation is logged late.
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
        """
        self._record(self._metrics, step, (_name(split),), values)

    def timing(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Appends one row per value to ``timing.csv``; otherwise as ``write``."""
        self._record(self._timing, step, (), values)

    def close(self) -> None:
        """Closes all files; may be called twice."""
        self._metrics.close()
        self._timing.close()
        if self._tensorboard is not None:
            self._tensorboard.close()
            self._tensorboard = None
        if self._wandb is not None:
            self._wandb.finish()
            self._wandb = None

    def __enter__(self) -> MetricsLogger:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _record(
        self, file: TextIO, step: int, split: tuple[str, ...], values: Mapping[str, SupportsFloat]
    ) -> None:
        step = operator.index(step)
        if step < 0:
            raise ValueError(f"step is {step}, but agent steps are counted from 0")
        numbers = {_name(name): _number(name, value) for name, value in values.items()}
        # One string and one flush, so that an interruption seldom splits a group of rows.
        rows = (",".join((str(step), *split, name, repr(x))) for name, x in numbers.items())
        file.write("".join(row + "\n" for row in rows))
        file.flush()
        prefix = split[0] if split else "timing"
        tagged = {f"{prefix}/{name}": number for name, number in numbers.items()}
        if self._tensorboard is not None:
            for tag, number in tagged.items():
                self._tensorboard.add_scalar(tag, number, global_step=step)
        if self._wandb is not None:
            self._wandb.log({**tagged, "agent_step": step})


def complete_lines(path: Path) -> list[str]:
    """The lines of a text file that end in a newline, without it; an unfinished last one is left
    out, since a file may be read while it is written or after a crash."""
    return path.read_bytes().decode("utf-8", "replace").split("\n")[:-1]


def _open(path: Path, columns: tuple[str, ...], upto_step: int | None) -> TextIO:
    """Opens a CSV file for appending, after mending what an interruption left of it."""
    header = ",".join(columns)
    lines = complete_lines(path) if path.exists() else []
    if lines and lines[0] != header:
        raise ValueError(
            f"{path} begins with {lines[0]!r}, expected the columns {header!r}: it is another "
            "program's file; move it away or log to another folder"
        )
    kept = [header]
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split(",")
        if len(cells) != len(columns) or not cells[0].isdecimal():
            raise ValueError(
                f"line {number} of {path} is {line!r}, expected the columns {header!r}: mend or "
                "delete that line, then continue the run"
            )
        if upto_step is None or int(cells[0]) <= upto_step:
            kept.append(line)
    text = "".join(line + "\n" for line in kept).encode()
    if not path.exists() or path.read_bytes() != text:
        mended = path.with_name(path.name + ".tmp")
        mended.write_bytes(text)
        os.replace(mended, path)
    return path.open("a", encoding="utf-8", newline="\n", buffering=1)


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


def _import_wandb() -> Any:
    try:
        module = importlib.import_module("wandb")
    except ImportError:
        module = None
    # A folder wandb/ of offline runs in the working directory imports as an empty package.
    if not hasattr(module, "init"):
        raise ImportError(
            "logging to Weights & Biases needs the package wandb: pip install 'mppi_zoo[wandb]', "
            "or leave the wandb setting out"
        )
    return module
