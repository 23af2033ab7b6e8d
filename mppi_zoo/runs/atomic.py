"""Atomic writes: a file is complete or absent, even if process or machine dies meanwhile."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

# Errors of file systems that cannot sync a folder: some network shares, some in user space.
UNABLE = frozenset({errno.EBADF, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it to ``path``.

    Contents and name are on disk when this returns. Where ``path`` is a link, the link is replaced
    and what it refers to stays as it is.

    Raises:
        OSError: the disk is full, the folder read-only, ...; ``path`` is unchanged.
    """
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)  # of a process that was killed, or a link to elsewhere
    try:
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)  # frees its space, in case the disk is full
        raise
    sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """As :func:`write_file`, for text."""
    write_file(path, lambda file: file.write(text.encode()))


def sync_folder(folder: Path) -> None:
    """Write the names of a folder's files to disk, where the system can do that."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNABLE:
            raise
    finally:
        os.close(descriptor)
