"""Files of tensors and plain data: atomic, with a checksum, read without running code."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch

from mppi_zoo.runs import reader
from mppi_zoo.runs.seal import Written, check_seal, write_sealed


class Read(NamedTuple):
    """The content of a file, and whether a checksum in the file confirmed it."""

    content: Any
    sealed: bool


def write(path: Path, content: Any) -> Written:
    """Write tensors and plain data to a file, atomically.

    Raises:
        OSError: it could not be written; a file that was there before is unchanged.
    """
    return write_sealed(path, lambda file: torch.save(content, file))  # type: ignore[arg-type]


def read(path: Path, folder: Path | None = None) -> Any:
    """As :func:`read_checked`, the content alone."""
    return read_checked(path, folder).content


def read_checked(path: Path, folder: Path | None = None) -> Read:
    """The content of a file, read with ``weights_only``: no code is executed.

    Args:
        folder: that of the run in which the file lies and which no link may leave; None: the user
            named the file itself.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: if the file is damaged, or not such a file.
    """
    path = Path(path)
    if folder is None:
        folder, name = path.resolve().parent, path.resolve().name
    else:
        name = str(path.relative_to(folder))
    with reader.open_file(folder, name) as file:
        sealed = check_seal(file, str(path))
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # damage meets torch's reader in many ways
            raise ValueError(
                f"{path} is damaged, not a checkpoint, or holds code ({error})".replace("\n", " ")
            ) from error
    return Read(content, sealed)
