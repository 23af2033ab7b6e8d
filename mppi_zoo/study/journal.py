"""The journal: the events of each run of a study, one line of JSON each, in a file per run."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

from mppi_zoo.runs import reader

SUBMITTED, STARTED, ENDED = "submitted", "started", "ended"
PRUNED = "pruned"  # a search has given the run up
OF_AN_END = {"code": int, "steps": int, "again": bool}  # what such an event has too


def journal_file(study: Path, run: str) -> Path:
    """The journal's file of a run, by the run's name."""
    return study / "journal" / f"{run}.jsonl"


def note(study: Path, run: str, event: str, **facts: Any) -> None:
    """Append an event."""
    record = {
        "event": event,
        "time": round(time.time(), 1),
        "host": platform.node(),
        "process": os.getpid(),
        **facts,
    }
    path = journal_file(study, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def read(study: Path, run: str) -> list[dict[str, Any]]:
    """All events of a run, oldest first.

    Raises:
        ValueError: an event lacks what its kind has.
    """
    path = journal_file(study, run)
    if not os.path.lexists(path):
        return []
    events = reader.read_object_lines(study, journal_file(Path(), run))
    for number, event in enumerate(events, 1):
        _check(event, f"line {number} of {path}")
    return events


def _check(event: dict[str, Any], where: str) -> None:
    kind = event.get("event")
    if kind not in (SUBMITTED, STARTED, ENDED, PRUNED):
        raise ValueError(f"{where} has event = {str(kind)[:40]!r}: restore or delete the file")
    needed = {"job": str, **(OF_AN_END if kind == ENDED else {})}
    for name, wanted in needed.items():
        value = event.get(name)
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            raise ValueError(
                f"{where} has {name} = {str(value)[:40]!r}, expected {wanted.__name__}: restore or "
                "delete the file"
            )
