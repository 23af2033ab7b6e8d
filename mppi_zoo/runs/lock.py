"""A lock, so that at most one process writes to a run folder."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from mppi_zoo.runs import reader

PATIENCE = 1.0  # s to wait for the lock, since `in_use` of another process holds it briefly
LOCK_FILE = ".lock"
OWNER_FILE = ".owner"

# Errors of file systems without locks: Lustre unless mounted with them, NFS without its service.
NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP})


def _lock(folder: Path, patience: float) -> FileLock:
    # Where a file system has no locks, filelock by default takes the mere existence of a file as
    # the lock. Such a file stays when its process is killed, and the run could never go on.
    return FileLock(folder / LOCK_FILE, timeout=patience, fallback_to_soft=False)


@contextlib.contextmanager
def locked(folder: Path, what: str = "run") -> Iterator[str]:
    """Hold the lock of a run folder, which the system releases however the process ends.

    Args:
        folder: whose lock.
        what: lies in the folder, for messages.

    Yields:
        A warning where the file system has no locks, else an empty string.

    Raises:
        ValueError: another process holds it.
        OSError: the folder cannot be written.
    """
    folder = Path(folder)
    lock, owner = _lock(folder, PATIENCE), folder / OWNER_FILE
    warning = ""
    try:
        lock.acquire()
    except Timeout as error:
        raise ValueError(
            f"the {what} folder {folder} is in use by {_read(owner)}: wait for it or stop it; two "
            "processes would overwrite each other's files"
        ) from error
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        warning = f"the file system of {folder} has no locks: start no second process on it"
    try:
        owner.write_text(f"{_process(os.getpid())}\n", encoding="utf-8")
        yield warning
    finally:
        with contextlib.suppress(OSError):
            owner.unlink()
        lock.release()


def _process(number: int | str) -> str:
    return f"process {number} on {platform.node()}"


def _read(owner: Path) -> str:
    return "".join(reader.last_lines(owner.parent, owner.name, 1)).strip() or "another process"


def in_use(folder: Path) -> bool:
    """Whether a process holds the lock of a run folder; False where there is no such folder.

    Where the file system has no locks: whether the process that noted itself as owner is alive on
    this machine.
    """
    if not reader.exists(folder, LOCK_FILE):  # nor is a link followed: to open it empties a file
        return False
    try:
        with _lock(folder, 0):
            return False
    except Timeout:
        return True
    except OSError as error:
        return error.errno in NO_LOCKS and _lives(folder / OWNER_FILE)


def _lives(owner: Path) -> bool:
    text = _read(owner)
    number = text.removeprefix("process ").partition(" ")[0]
    if not number.isdigit() or text != _process(number):
        return False
    import psutil  # here, since a file that is only read needs it not

    try:  # the number may by now belong to another program, which began later
        return psutil.Process(int(number)).create_time() <= owner.stat().st_mtime
    except (psutil.Error, OSError):
        return False
