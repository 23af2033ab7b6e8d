"""Files of tensors and plain data: written atomically, read without executing code."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch

from mppi_zoo.runs.atomic import write_file


class Written(NamedTuple):
    """What identifies a file's content."""

    size: int  # bytes
    sha256: str


class _Hashing:
    """A file opened for writing, with the size and hash of what was written."""

    def __init__(self, file: BinaryIO):
        self._file, self._digest, self._size = file, hashlib.sha256(), 0
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self._size += len(data)
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()

    def written(self) -> Written:
        return Written(self._size, self._digest.hexdigest())


def write(path: Path, content: Any) -> Written:
    """Write tensors and plain data to a file, atomically.

    Raises:
        OSError: it could not be written; a file that was there before is unchanged.
    """
    passed: list[_Hashing] = []

    def save(file: BinaryIO) -> None:
        passed.append(_Hashing(file))
        try:
            torch.save(content, passed[0])  # type: ignore[arg-type]
        except Exception:
            # torch raises an error of its own after a failed write; the cause says more
            if passed[0].error is not None:
                raise passed[0].error from None
            raise

    path.parent.mkdir(exist_ok=True)  # not its parents: a run folder that was moved stays gone
    write_file(path, save)
    return passed[0].written()


def read(path: Path) -> Any:
    """The content of a file, read with ``weights_only``: no code is executed.

    Raises:
        ValueError: if the file is damaged, or not such a file.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, OSError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged, not a checkpoint, or holds code ({error})".replace("\n", " ")
        ) from error
