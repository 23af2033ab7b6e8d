"""Reads files of a run's or a study's folder, none of which is trusted: nothing is executed.

A folder may come from somebody else. So a file is read only if it is a regular file, lies within
the folder after all links are followed, and is no larger than its kind ever needs. Whoever reads a
run folder does it through this module: resume, load, export, report, studies.

Every function takes the folder, which the user named, and the file's path within it. They raise
``FileNotFoundError`` where there is no such file and ``ValueError`` where it cannot be used; both
name the file and say why.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

MIB = 2**20
JSON_LIMIT = 16 * MIB  # run.json, sessions.jsonl, journals, manifests of checkpoints
GIN_LIMIT = 1 * MIB  # configurations and study files
CSV_LIMIT = 1024 * MIB  # metrics.csv, timing.csv
NO_LIMIT = 2**63


def inside(folder: Path, name: str | Path) -> Path:
    """The real path of ``name`` in a folder, with all links followed; it need not exist.

    Raises:
        ValueError: it lies outside the folder.
    """
    root = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(root, name))
    if path != root and os.path.commonpath([root, path]) != root:
        raise ValueError(
            f"{Path(folder) / name} lies outside its folder, at {path}: links that leave a run's "
            "or a study's folder are not followed; put the file itself there"
        )
    return Path(path)


def open_file(folder: Path, name: str | Path, limit: int = NO_LIMIT) -> BinaryIO:
    """Open a file for reading.

    Args:
        limit: the largest size in bytes.
    """
    shown, path = Path(folder) / name, inside(folder, name)
    try:
        # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"there is no file {shown}") from error
    except OSError as error:
        raise ValueError(f"{shown} cannot be read: {error.strerror}") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{shown} is {_kind(found.st_mode)}, expected a file")
        if found.st_size > limit:
            raise ValueError(
                f"{shown} has {found.st_size:,} bytes, expected at most {limit:,} of such a file"
            )
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def exists(folder: Path, name: str | Path) -> bool:
    """Whether there is such a file that :func:`open_file` would open."""
    try:
        return inside(folder, name).is_file()
    except (ValueError, OSError):
        return False


def read_bytes(folder: Path, name: str | Path, limit: int) -> bytes:
    """The content of a file of at most ``limit`` bytes."""
    with open_file(folder, name, limit) as file:
        content = file.read(limit + 1)
    if len(content) > limit:  # it has grown since its size was asked for
        raise ValueError(f"{Path(folder) / name} has more than the {limit:,} bytes of such a file")
    return content


def read_text(folder: Path, name: str | Path, limit: int = GIN_LIMIT) -> str:
    """The text of a file, which must be UTF-8."""
    try:
        return read_bytes(folder, name, limit).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{Path(folder) / name} is not UTF-8 text ({error})") from error


def read_lines(folder: Path, name: str | Path, limit: int = CSV_LIMIT) -> list[str]:
    """The lines of a file that end in a newline, without it; what is no UTF-8 is replaced.

    An incomplete last line is left out: the file may be being written, or a crash cut it off.
    """
    return read_bytes(folder, name, limit).decode("utf-8", "replace").split("\n")[:-1]


def last_lines(folder: Path, name: str | Path, count: int, most: int = 20_000) -> list[str]:
    """The last lines of a file, of which only the last ``most`` bytes are read; none without it."""
    try:
        with open_file(folder, name) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - most))
            return file.read(most).decode("utf-8", "replace").splitlines()[-count:]
    except (FileNotFoundError, ValueError):
        return []


def read_object(folder: Path, name: str | Path, limit: int = JSON_LIMIT) -> dict[str, Any]:
    """The JSON object that a file holds."""
    shown = Path(folder) / name
    return _object(read_bytes(folder, name, limit), str(shown))


def read_object_lines(
    folder: Path, name: str | Path, limit: int = JSON_LIMIT
) -> list[dict[str, Any]]:
    """The JSON objects of a file with one in each line; an incomplete last line is left out."""
    shown = Path(folder) / name
    lines = enumerate(read_lines(folder, name, limit), 1)
    return [_object(line.encode(), f"line {number} of {shown}") for number, line in lines]


def read_rows(
    folder: Path, name: str | Path, columns: Sequence[str], limit: int = CSV_LIMIT
) -> list[list[str]]:
    """The rows of a CSV file with these columns, as text; an incomplete last line is left out."""
    header, *rows = [line.split(",") for line in read_lines(folder, name, limit)] or [[]]
    shown = Path(folder) / name
    if header != list(columns):
        raise ValueError(f"{shown} does not have the columns {','.join(columns)}")
    for number, row in enumerate(rows, 2):
        if len(row) != len(columns):
            raise ValueError(f"line {number} of {shown} has {len(row)} cells, not {len(columns)}")
    return rows


def find(folder: Path, subfolder: str, suffix: str) -> list[Path]:
    """The files in a subfolder whose names end in ``suffix``, sorted; none from elsewhere."""
    return sorted(
        path
        for path in (Path(folder) / subfolder).glob(f"*{suffix}")
        if exists(folder, Path(subfolder) / path.name)
    )


def refuse_links(folder: Path) -> None:
    """Check, before anything is written into a folder, that no link in it leads out of it.

    Raises:
        ValueError: one does; what is written would go elsewhere.
    """
    for part, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(part, name)
            if os.path.islink(path):
                inside(folder, os.path.relpath(path, folder))


def _object(text: bytes, where: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:  # nested more deeply than Python's stack
        raise ValueError(f"{where} is not readable JSON ({error}): restore or delete it") from error
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise ValueError(f"{where} holds a JSON {kind}, expected an object: restore or delete it")
    return content


_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def _kind(mode: int) -> str:
    return next((name for test, name in _KINDS if test(mode)), "no regular file")
