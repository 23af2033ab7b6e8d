"""Checkpoints of a whole run: numbered and checksummed; the last few are kept.

A checkpoint is a manifest ``000012.json`` that names its files and their SHA-256: ``000012.pt``
with everything but the replay's rows, and the segments of each
:class:`~mppi_zoo.runs.row_log.RowLog`, most of which earlier checkpoints use too. The manifest is
written last, so a checkpoint is complete or does not exist. Files are read with ``weights_only``:
no code is executed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mppi_zoo.runs import tensor_file
from mppi_zoo.runs.atomic import write_text
from mppi_zoo.runs.row_log import RowLog, Segment

FORMAT = "mppi_zoo.run"
VERSION = 1


class Opened(NamedTuple):
    """A checkpoint all of whose files match their checksums."""

    path: Path  # of the manifest
    manifest: dict[str, Any]
    content: dict[str, Any]

    def segments(self, log: str) -> Iterator[Segment]:
        """The stored segments of a log, oldest first."""
        for entry in self.manifest["logs"][log]:
            stored = tensor_file.read(self.path.parent / entry["file"])
            yield Segment(stored["rows"], stored["values"])


class CheckpointStore:
    """The checkpoints in a folder.

    Args:
        folder: made at the first save.
        kept: how many checkpoints are kept; at least 2, so that there is an older one if the newest
            is damaged.
    """

    def __init__(self, folder: Path, kept: int = 3):
        if kept < 2:
            raise ValueError(f"checkpoints kept = {kept}: expected at least 2")
        self.folder, self.kept = Path(folder), kept
        self.refused: list[str] = []  # what `open_newest` found damaged, and why
        self._files: dict[str, dict[int, dict[str, Any]]] = {}  # of each log, by segment number
        self._next = 1 + max((_number(path) for path in self._all("*")), default=0)

    def save(
        self, content: dict[str, Any], logs: Mapping[str, RowLog], about: dict[str, Any]
    ) -> Path:
        """Write a checkpoint; returns its manifest.

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
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "number": int(stem),
            **about,
            "state": state,
            "logs": {name: list(self._files[name].values()) for name in logs},
        }
        manifest["checksum"] = _checksum(manifest)
        path = self.folder / f"{stem}.json"
        write_text(path, json.dumps(manifest, indent=1) + "\n")
        self._clean()
        return path

    def open_newest(self) -> Opened | None:
        """The newest undamaged checkpoint; None if there never was one.

        A damaged checkpoint, or a file that is none, is listed in ``refused`` and renamed to
        ``*.refused``.

        Raises:
            ValueError: there are checkpoints, but all are refused.
        """
        manifests = sorted(self._all("*.json"), reverse=True)
        for path in manifests:
            try:
                manifest = self._verified(path)
                content = tensor_file.read(self.folder / manifest["state"]["file"])
            except (OSError, ValueError) as error:
                self.refuse(path, str(error))
            else:
                return Opened(path, manifest, content)
        if manifests:
            raise ValueError(self.none_left())
        return None

    def none_left(self) -> str:
        """The message for the case that every checkpoint was refused."""
        return (
            "no checkpoint can be used:\n  " + "\n  ".join(self.refused) + "\nThe agent of the "
            "last evaluation may still be good: start a new run with --init-from this folder"
        )

    def refuse(self, manifest: Path, reason: str) -> None:
        """Rename a checkpoint, so that it is neither tried again nor counted as kept."""
        self.refused.append(f"checkpoint {manifest} is refused: {reason}")
        if manifest.exists():
            manifest.replace(manifest.with_name(manifest.name + ".refused"))

    def adopt(self, opened: Opened) -> None:
        """Continue the logs of a checkpoint; call it after all its segments were replayed."""
        self._files = {
            name: dict(enumerate(entries)) for name, entries in opened.manifest["logs"].items()
        }

    def _write(self, name: str, content: dict[str, Any]) -> dict[str, Any]:
        written = tensor_file.write(self.folder / name, content)
        return {"file": name, "bytes": written.size, "sha256": written.sha256}

    def _verified(self, path: Path) -> dict[str, Any]:
        try:
            manifest = json.loads(path.read_bytes())
        except ValueError as error:
            raise ValueError(f"it is not readable JSON ({error})") from error
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise ValueError("it is not a checkpoint of mppi_zoo")
        if manifest.get("version", 0) > VERSION:
            raise ValueError(
                f"it has format version {manifest['version']}; this mppi_zoo reads up to "
                f"{VERSION}: update the package"
            )
        if manifest.pop("checksum", None) != _checksum(manifest):
            raise ValueError("its checksum does not match its content")
        entries = [manifest["state"], *(e for log in manifest["logs"].values() for e in log)]
        for entry in entries:
            _check_file(self.folder / entry["file"], entry)
        return manifest

    def _clean(self) -> None:
        """Removes old checkpoints and every file that no kept one names."""
        manifests = sorted(self._all("*.json"))
        for path in manifests[: -self.kept]:
            path.unlink()
        named: set[str] = set()
        for path in manifests[-self.kept :]:
            manifest = json.loads(path.read_bytes())
            named |= {path.name, manifest["state"]["file"]}
            named |= {e["file"] for log in manifest["logs"].values() for e in log}
        for path in self._all("*"):
            if path.name not in named and path.suffix in (".pt", ".tmp"):
                path.unlink()

    def _all(self, pattern: str) -> list[Path]:
        return [path for path in self.folder.glob(pattern) if _number(path)]


def _number(path: Path) -> int:
    """The number that a checkpoint's file begins with, 0 for other files."""
    stem = path.name.split(".")[0]
    return int(stem) if stem.isdecimal() else 0


def _checksum(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _check_file(path: Path, entry: dict[str, Any]) -> None:
    if not path.is_file():
        raise ValueError(f"its file {path.name} is missing")
    size = path.stat().st_size
    if size != entry["bytes"]:
        raise ValueError(f"its file {path.name} has {size} bytes, expected {entry['bytes']}")
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
    if digest.hexdigest() != entry["sha256"]:
        raise ValueError(f"its file {path.name} does not match its checksum")
