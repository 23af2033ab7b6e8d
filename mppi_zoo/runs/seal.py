"""Files that carry their own checksum, so that a flipped bit is found before they are used.

torch writes its files as zip archives but does not check them when it reads them: with one flipped
bit a weight may be 1e37. So the SHA-256 of all that comes before it is the comment at the archive's
end, where every reader of such archives skips it. It is no signature: who can write the file can
seal it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from mppi_zoo.runs.atomic import write_file

MARK = b"mppi_zoo sha256 "
DIGITS = 64
COMMENT = len(MARK) + DIGITS
NO_COMMENT = b"\0\0"  # the length of its comment is the last that an archive holds


class Written(NamedTuple):
    """What identifies a file's content."""

    size: int  # bytes
    sha256: str


class SealingFile:
    """A file opened for writing an archive; hashes what is written, and seals it at the end."""

    def __init__(self, file: BinaryIO):
        self._file, self._digest, self._size = file, hashlib.sha256(), 0
        self._held = b""  # the last two bytes so far: at the end, they are replaced
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if len(view) < 2:
            view = memoryview(self._held + bytes(view))
        else:
            self._pass_on(self._held)
        self._pass_on(view[:-2])
        self._held = bytes(view[-2:])
        return len(data)

    def flush(self) -> None:
        self._file.flush()

    def seal(self) -> Written:
        """Write the comment; returns what the whole file is."""
        if self._held != NO_COMMENT:
            raise ValueError("what was written is no zip archive without a comment")
        self._pass_on(COMMENT.to_bytes(2, "little") + MARK)
        self._pass_on(self._digest.hexdigest().encode())
        return Written(self._size, self._digest.hexdigest())

    def _pass_on(self, data: bytes | memoryview) -> None:
        self._digest.update(data)
        self._size += len(data)
        try:
            self._file.write(data)
        except OSError as error:
            self.error = error
            raise


def write_sealed(path: Path, save: Callable[[SealingFile], object]) -> Written:
    """Let ``save`` write an archive to ``path``, atomically, and seal it.

    Raises:
        OSError: it could not be written; a file that was there before is unchanged.
    """
    results: list[Written] = []

    def write(file: BinaryIO) -> None:
        sealing = SealingFile(file)
        try:
            save(sealing)
        except Exception:
            # torch raises an error of its own after a failed write; the cause says more
            if sealing.error is not None:
                raise sealing.error from None
            raise
        results.append(sealing.seal())

    path.parent.mkdir(exist_ok=True)  # not its parents: a run folder that was moved stays gone
    write_file(path, write)
    return results[0]


def check_seal(file: BinaryIO, name: str) -> bool:
    """Check a file, opened for reading, against its seal; it is at its beginning afterwards.

    Returns:
        Whether it has a seal; files of earlier versions have none.

    Raises:
        ValueError: its content is not what was sealed.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - COMMENT))
    comment = file.read(COMMENT)
    file.seek(0)
    if not comment.startswith(MARK):
        return False
    digest, left = hashlib.sha256(), size - DIGITS
    while left > 0 and (piece := file.read(min(left, 1 << 20))):
        digest.update(piece)
        left -= len(piece)
    file.seek(0)
    if digest.hexdigest().encode() != comment[len(MARK) :]:
        raise ValueError(
            f"{name} is damaged: its content does not match its checksum. Restore it from a copy, "
            "or take another agent of the run"
        )
    return True
