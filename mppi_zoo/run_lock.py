"""One process a run folder."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

PATIENCE = 1.0  # s; `in_use` holds the lock for a moment
LOCK_FILE = ".lock"
OWNER_FILE = ".owner"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[str]:
    """Hold the lock of a run folder, which the system releases however the process ends.

    Yields:
        A warning where the file system has no locks, else an empty string.

    Raises:
        ValueError: another process holds it.
        OSError: the folder cannot be written.
    """
    folder = Path(folder)
    lock, owner = FileLock(folder / LOCK_FILE, timeout=PATIENCE), folder / OWNER_FILE
    warning = ""
    try:
        lock.acquire()
    except Timeout as error:
        raise ValueError(
            f"the run folder {folder} is in use by {_read(owner)}: wait for it or stop it; two "
            "processes on one run would spoil it"
        ) from error
    except NotImplementedError:
        warning = f"the file system of {folder} has no locks: start no second process on it"
    try:
        owner.write_text(f"process {os.getpid()} on {platform.node()}\n", encoding="utf-8")
        yield warning
    finally:
        with contextlib.suppress(OSError):
            owner.unlink()
        lock.release()


def _read(owner: Path) -> str:
    try:
        return owner.read_text(encoding="utf-8").strip() or "another process"
    except OSError:
        return "another process"


def in_use(folder: Path) -> bool:
    """Whether a process holds the lock of a run folder; False where there is no such folder."""
    if not (folder / LOCK_FILE).is_file():
        return False
    try:
        with FileLock(folder / LOCK_FILE, timeout=0):
            return False
    except Timeout:
        return True
    except (NotImplementedError, OSError):
        return False
