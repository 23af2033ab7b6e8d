"""The manifest of a checkpoint: what is in it, and how it is checked before it is used."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mppi_zoo.runs import reader

FORMAT = "mppi_zoo.run"
VERSION = 1
OWNERS = "owners"  # entry of the file that tells which segment holds which row


def text(entries: dict[str, Any]) -> str:
    """A manifest as the text of its file, with its checksum."""
    manifest = {"format": FORMAT, "version": VERSION, **entries}
    return json.dumps({**manifest, "checksum": checksum(manifest)}, indent=1) + "\n"


def checksum(manifest: dict[str, Any]) -> str:
    """The SHA-256 of a manifest without its checksum."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def read(path: Path) -> dict[str, Any]:
    """A manifest whose checksum fits and which has all entries; its files are not looked at.

    Raises:
        FileNotFoundError, ValueError: it cannot be used; says why.
    """
    manifest = reader.read_object(path.parent, path.name)
    if manifest.get("format") != FORMAT:
        raise ValueError("it is not a checkpoint of mppi_zoo")
    version = manifest.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise ValueError(
            f"it has format version {version}; this mppi_zoo reads up to {VERSION}: update the "
            "package"
        )
    if manifest.pop("checksum", None) != checksum(manifest):
        raise ValueError("its checksum does not match its content")
    try:
        for entry in all_files(manifest):
            _check_entry(entry)
        if not isinstance(manifest["step"], int):
            raise TypeError(f"step is {manifest['step']!r}")
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it lacks entries of a checkpoint ({error})") from error
    return manifest


def all_files(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The entries of all files of a checkpoint: its state, its owners, its segments."""
    yield manifest["state"]
    if OWNERS in manifest:  # those of earlier versions have none
        yield manifest[OWNERS]
    for segments in manifest["logs"].values():
        yield from segments


def check_file(folder: Path, entry: dict[str, Any]) -> None:
    """Check a file of a checkpoint against its size and checksum.

    Raises:
        ValueError: it is damaged or missing; says which it is.
    """
    name = entry["file"]
    try:
        file = reader.open_file(folder, name)
    except FileNotFoundError as error:
        raise ValueError(f"its file {name} is missing") from error
    with file:
        size = os.fstat(file.fileno()).st_size
        if size != entry["bytes"]:
            raise ValueError(f"its file {name} has {size} bytes, expected {entry['bytes']}")
        digest = hashlib.sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
    if digest.hexdigest() != entry["sha256"]:
        raise ValueError(f"its file {name} does not match its checksum")


def _check_entry(entry: dict[str, Any]) -> None:
    name = entry["file"]
    if os.path.basename(name) != name:
        raise TypeError(f"file {name!r} is not in the checkpoint's folder")
    if not (isinstance(entry["bytes"], int) and isinstance(entry["sha256"], str)):
        raise TypeError(f"the size or the checksum of {name!r} is of another type")
