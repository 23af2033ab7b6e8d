"""Checkpoints of a whole run: numbered and checksummed; the last few are kept.

A checkpoint is a manifest ``000012.json`` that names its files and their SHA-256: ``000012.pt``
with everything but the replay's rows, and the segments of each
:class:`~mppi_zoo.runs.row_log.RowLog`, most of which earlier checkpoints use too. The manifest is
written last, so a checkpoint is complete or does not exist. Files are read with ``weights_only``:
no code is executed.

Since checkpoints share segments, a damaged one may be in all of them. So ``000012.owners.pt`` has a
byte for each row of each log: which segment holds it. With it, a checkpoint can be used without the
rows of a damaged segment. Reading changes nothing on disk.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from mppi_zoo.runs import manifest as manifests
from mppi_zoo.runs import tensor_file
from mppi_zoo.runs.atomic import write_text
from mppi_zoo.runs.manifest import OWNERS
from mppi_zoo.runs.row_log import RowLog, Segment

ASIDE = ".refused"


class Opened(NamedTuple):
    """A checkpoint all of whose files match their checksums, but for the damaged segments named."""

    path: Path  # of the manifest
    manifest: dict[str, Any]
    content: dict[str, Any]
    damaged: dict[str, list[int]]  # of each log, positions of segments that cannot be read
    lost: dict[str, Tensor]  # of each log with such segments, the rows that they alone held [n]
    damage: str  # what is wrong with which files; empty for a whole checkpoint

    def entries(self, log: str) -> list[dict[str, Any]]:
        """The manifest's entries of the segments that can be read, oldest first."""
        listed = enumerate(self.manifest["logs"][log])
        return [entry for i, entry in listed if i not in self.damaged.get(log, [])]

    def segments(self, log: str) -> Iterator[Segment]:
        """The stored segments of a log, oldest first."""
        folder = self.path.parent
        for entry in self.entries(log):
            stored = tensor_file.read(folder / entry["file"], folder)
            yield Segment(stored["rows"], stored["values"])


class CheckpointStore:
    """The checkpoints in a folder.

    Args:
        folder: made at the first save.
        kept: how many checkpoints are kept; at least 2, so that there is an older one if the newest
            is damaged.

    Attributes:
        refused: what :meth:`open_newest` could not use, and why.
        aside: what :meth:`save` set aside, and why.
    """

    def __init__(self, folder: Path, kept: int = 3):
        if kept < 2:
            raise ValueError(f"checkpoints kept = {kept}: expected at least 2")
        self.folder, self.kept = Path(folder), kept
        self.refused: list[str] = []
        self.aside: list[str] = []
        self._unusable: dict[Path, str] = {}  # manifests that `open_newest` refused, and why
        self._files: dict[str, dict[int, dict[str, Any]]] = {}  # of each log, by segment number
        self._next = 1 + max((_number(path) for path in self._all("*")), default=0)

    def save(
        self, content: dict[str, Any], logs: Mapping[str, RowLog], about: dict[str, Any]
    ) -> Path:
        """Write a checkpoint; returns its manifest.

        Manifests that are damaged or could not be used are then renamed to ``*.refused``.

        Args:
            content: tensors and plain Python data.
            logs: tables of which only the rows changed since the last save are written.
            about: further entries of the manifest, such as the step; plain data.

        Raises:
            OSError: it could not be written; earlier checkpoints are unchanged.
        """
        self.folder.mkdir(exist_ok=True)
        stem = f"{self._next:06d}"
        self._next += 1
        state = self._write(f"{stem}.pt", content)
        for name, log in logs.items():
            files = self._files.setdefault(name, {})
            number = log.next
            segment, retired = log.cut()
            files[number] = self._write(f"{stem}.{name}.pt", segment.content())
            for old in retired:
                del files[old]
        owners = {name: log.owners() for name, log in logs.items()}
        entries = {
            "number": int(stem),
            **about,
            "state": state,
            OWNERS: self._write(f"{stem}.{OWNERS}.pt", owners),
            "logs": {name: list(self._files[name].values()) for name in logs},
        }
        path = self.folder / f"{stem}.json"
        write_text(path, manifests.text(entries))
        self._clean()
        return path

    def open_newest(self, fits: Callable[[Opened], None] = lambda opened: None) -> Opened | None:
        """The newest undamaged checkpoint; None if there never was one.

        If none is undamaged, the newest of which only segments are damaged. What cannot be used is
        listed in ``refused``.

        Args:
            fits: raises ValueError for a checkpoint that cannot be used for another reason.

        Raises:
            ValueError: there are checkpoints, but all are refused.
        """
        damaged: Opened | None = None
        # earlier versions renamed what they refused, so that none was left
        listed = self._all("*.json") or self._all(f"*.json{ASIDE}")
        for path in reversed(listed):
            try:
                opened = self._open(path)
                fits(opened)
            except (OSError, ValueError) as error:
                self._refuse(path, str(error))
                continue
            if not opened.damage:
                return opened
            self._refuse(path, opened.damage)
            damaged = damaged or opened
        if damaged is None and listed:
            raise ValueError(
                "no checkpoint can be used:\n  " + "\n  ".join(self.refused) + "\nNothing was "
                "changed. The agent of the last evaluation may still be good: start a new run with "
                "--init-from this folder"
            )
        return damaged

    def adopt(self, opened: Opened) -> None:
        """Continue the logs of a checkpoint; call it after all its segments were replayed."""
        self._files = {
            name: dict(enumerate(opened.entries(name))) for name in opened.manifest["logs"]
        }

    def _refuse(self, path: Path, reason: str) -> None:
        self.refused.append(f"checkpoint {path} is refused: {reason}")
        self._unusable[path] = reason

    def _write(self, name: str, content: dict[str, Any]) -> dict[str, Any]:
        written = tensor_file.write(self.folder / name, content)
        return {"file": name, "bytes": written.size, "sha256": written.sha256}

    def _open(self, path: Path) -> Opened:
        manifest = manifests.read(path)
        manifests.check_file(self.folder, manifest["state"])
        damaged: dict[str, list[int]] = {}
        reasons = []
        for log, entries in manifest["logs"].items():
            for position, entry in enumerate(entries):
                try:
                    manifests.check_file(self.folder, entry)
                except ValueError as error:
                    damaged.setdefault(log, []).append(position)
                    reasons.append(str(error))
        damage = "; ".join(reasons)
        lost = self._lost(manifest, damaged, damage) if damaged else {}
        content = tensor_file.read(self.folder / manifest["state"]["file"], self.folder)
        return Opened(path, manifest, content, damaged, lost, damage)

    def _lost(
        self, manifest: dict[str, Any], damaged: dict[str, list[int]], damage: str
    ) -> dict[str, Tensor]:
        """The rows that damaged segments alone held; ValueError where that is not known."""
        if OWNERS not in manifest:
            raise ValueError(damage)
        manifests.check_file(self.folder, manifest[OWNERS])
        owners = tensor_file.read(self.folder / manifest[OWNERS]["file"], self.folder)
        lost = {}
        for log, positions in damaged.items():
            held = sum(owners[log] == position for position in positions)
            lost[log] = held.nonzero().squeeze(1)  # type: ignore[union-attr]
        return lost

    def _clean(self) -> None:
        """Removes old checkpoints and every file that no kept one names; sets bad ones aside."""
        good: dict[Path, dict[str, Any]] = {}
        for path in self._all("*.json"):
            try:
                if path in self._unusable:
                    raise ValueError(self._unusable[path])
                good[path] = manifests.read(path)
            except (OSError, ValueError) as error:
                self._set_aside(path, str(error))
        for path in list(good)[: -self.kept]:
            path.unlink()
        named = {
            entry["file"]
            for manifest in list(good.values())[-self.kept :]
            for entry in manifests.all_files(manifest)
        }
        for path in self._all("*"):
            if path.name not in named and path.suffix in (".pt", ".tmp"):
                path.unlink()

    def _set_aside(self, path: Path, reason: str) -> None:
        with contextlib.suppress(OSError):  # what is left there is tried again, and does no harm
            path.replace(path.with_name(path.name + ASIDE))
            self.aside.append(f"checkpoint {path} is set aside as *{ASIDE}: {reason}")

    def _all(self, pattern: str) -> list[Path]:
        """The folder's numbered files, oldest checkpoint first."""
        return sorted(filter(_number, self.folder.glob(pattern)), key=_number)


def _number(path: Path) -> int:
    """The number that a checkpoint's file begins with, 0 for other files."""
    stem = path.name.split(".")[0]
    return int(stem) if stem.isdecimal() else 0
