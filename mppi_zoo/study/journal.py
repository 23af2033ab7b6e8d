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
    """All events of a run, oldest first."""
    if not os.path.lexists(journal_file(study, run)):
        return []
    return reader.read_object_lines(study, journal_file(Path(), run))
