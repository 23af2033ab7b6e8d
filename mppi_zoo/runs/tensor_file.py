"""Tensors and plain data in a file: written whole or not at all, read without executing code."""

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
    """A file opened for writing that hashes what passes."""

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
    """Write tensors and plain data; the file is there whole or not at all.

    Raises:
        OSError: it could not be written; what was there before still is.
    """
    passed: list[_Hashing] = []

    def save(file: BinaryIO) -> None:
        passed.append(_Hashing(file))
        try:
            torch.save(content, passed[0])  # type: ignore[arg-type]
        except Exception:
            # torch reports a failed write as an inconsistency of its own
            if passed[0].error is not None:
                raise passed[0].error from None
            raise

    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, save)
    return passed[0].written()


def read(path: Path) -> Any:
    """The content of a file, read with ``weights_only``: no code is executed.

    Raises:
        ValueError: if the file is damaged or foreign.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, OSError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged, not a checkpoint, or holds code ({error})".replace("\n", " ")
        ) from error
