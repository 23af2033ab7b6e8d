"""One run folder as the analysis needs it, checked: a report is never stopped by what a file holds.

What a comparison cannot do without (``run.json``, ``metrics.csv``) must be whole, or the run is
left out with the reason. What it can do without is left out alone, with a note.
"""

# pandas annotates frame[mask] as a series and group keys as any scalar, which fails these checks:
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from mppi_zoo.analysis.configuration import parse_settings
from mppi_zoo.analysis.learning_curve import MOST_STEPS, numbers, read_metrics
from mppi_zoo.runs import folder as run_folder
from mppi_zoo.runs import reader
from mppi_zoo.runs.alarms import Alarm, Measured, alarms
from mppi_zoo.runs.metrics import TIMING_COLUMNS

SUITES = {"dmc": "dmcontrol", "gym": "gym", "toy": "toy", "hb": "humanoidbench", "ep": "envpool"}
SUITES["hbx"] = SUITES["hb"]  # the original program; a label marks its runs
DEFAULT_ACTION_REPEAT = {"dmcontrol": 2}

# Entries of run.json that a report needs, and the JSON types that they may have.
NEEDED = {"member": (str,), "task": (str,), "seed": (int,), "versions": (dict,)}
USED = {"git": (dict, type(None)), "command_line": (list,), "started": (str,)}
WORDS = {str: "text", int: "an integer", dict: "an object", list: "a list", type(None): "null"}

LARGEST = 1e100  # magnitude; sums and squares of such values are still finite


@dataclass
class Run:
    """The content of one run folder.

    Attributes:
        folder: its path.
        record: its ``run.json``.
        settings: its ``config.gin``, macros filled in; empty where the file is missing.
        metrics: its ``metrics.csv``, without values that are not finite.
        timing: its ``timing.csv``, empty where missing.
        notes: what the reader should know of its files.
        label: set by :func:`mppi_zoo.analysis.runs.load_runs`, unique to a configuration.
    """

    folder: Path
    record: dict[str, Any]
    settings: dict[str, str]
    metrics: pd.DataFrame
    timing: pd.DataFrame
    notes: list[str] = field(default_factory=list)
    label: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        """(benchmark, robot, task)."""
        return place(self.record["task"])

    @property
    def action_repeat(self) -> int:
        """Frames per agent step.

        Raises:
            ValueError: the configuration has no usable one.
        """
        recorded = self.record.get("action_repeat")  # runs of earlier versions have none
        if isinstance(recorded, int) and 0 < recorded <= MOST_STEPS:
            return recorded
        own = self.settings.get("EnvOptions.action_repeat", "None")
        if own == "None":
            return DEFAULT_ACTION_REPEAT.get(self.place[0], 1)
        number = _integer(own)
        if not number or number > MOST_STEPS:
            raise ValueError(f"EnvOptions.action_repeat = {own[:40]}: expected an integer above 0")
        return number

    @cached_property
    def alarms(self) -> list[Alarm]:
        """What the metrics tell of trouble; see :mod:`mppi_zoo.runs.alarms`."""
        rows = self.metrics[["step", "split", "metric", "value"]]
        return alarms(Measured(*row) for row in rows.itertuples(index=False, name=None))

    @property
    def reached(self) -> int:
        """Agent step of the last evaluation."""
        return int(self.metrics.loc[self.metrics["split"] == "eval", "step"].max())

    @property
    def planned(self) -> int | None:
        """Agent steps that the run was configured for, if known."""
        return _integer(self.settings.get("TrainingOptions.steps", self.settings.get("steps", "")))

    @property
    def finished(self) -> bool:
        """Whether the last evaluation was made at the end of training."""
        return self.planned is not None and self.reached >= self.planned


def _integer(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def place(task: str) -> tuple[str, str, str]:
    """(benchmark, robot, task) of a task's name in the zoo, e.g. "dmc:walker-walk".

    A HumanoidBench name is ``hb:<robot>-<task>[-v0]``, or ``hbx:`` for the original program.
    """
    suite, _, name = task.partition(":")
    benchmark = SUITES.get(suite, "custom")
    if benchmark == "custom":
        return benchmark, "own", task
    if benchmark in ("gym", "envpool"):
        return benchmark, "own", name
    name = name.replace("_", "-").lower()
    name = name.replace("ball-in-cup-", "cup-")
    robot, _, rest = name.partition("-")
    if benchmark == "humanoidbench":
        return benchmark, robot, rest.removesuffix("-v0")
    return benchmark, "own", name


def load_run(folder: Path) -> Run:
    """One run folder.

    Raises:
        FileNotFoundError, ValueError: it cannot be used; gives the reason.
    """
    # what the run is
    record, notes = run_folder.read(folder), []
    _check_record(record)
    _one_version(folder, str(record["versions"].get("mppi_zoo")))
    settings: dict[str, str] = {}
    if os.path.lexists(folder / run_folder.CONFIG_FILE):
        settings = parse_settings(reader.read_text(folder, run_folder.CONFIG_FILE))

    # what it measured
    metrics = _finite(read_metrics(folder), folder, notes)
    evaluated = metrics[(metrics["split"] == "eval") & (metrics["metric"] == "episode_return")]
    if evaluated.empty:
        reason = "still running, or stopped before the first" if not notes else notes[0]
        raise ValueError(f"no evaluation yet: {reason}")

    # how fast it was, which is not needed
    timing = pd.DataFrame({name: [] for name in TIMING_COLUMNS})
    if os.path.lexists(folder / "timing.csv"):
        try:
            timing = numbers(reader.read_rows(folder, "timing.csv", TIMING_COLUMNS), TIMING_COLUMNS)
        except ValueError as error:
            notes.append(f"{folder.name} is shown without speeds: timing.csv, {error}")
    return Run(folder, record, settings, metrics, timing, notes)


def _check_record(record: dict[str, Any]) -> None:
    """Check the entries of ``run.json`` that a report uses; unprintable text is made printable.

    Raises:
        ValueError: one is missing or has another type.
    """
    missing = [name for name in NEEDED if name not in record]
    if missing:
        raise ValueError(
            f"{run_folder.RUN_FILE} lacks {', '.join(missing)}: was it written by another version?"
        )
    for name, kinds in {**NEEDED, **USED}.items():
        value = record.get(name)
        if name in record and (not isinstance(value, kinds) or isinstance(value, bool)):
            expected = " or ".join(WORDS[kind] for kind in kinds)
            raise ValueError(
                f"{run_folder.RUN_FILE} has {name} = {str(value)[:40]!r}, expected {expected}"
            )
        if name == "seed" and abs(value) >= 2**63:
            raise ValueError(f"{run_folder.RUN_FILE} has seed = {str(value)[:40]}: below 2**63")
        if isinstance(value, str):  # JSON may hold what neither a page nor a figure can write
            record[name] = value.encode("utf-8", "replace").decode()


def _one_version(folder: Path, begun: str) -> None:
    """Check that the run was never resumed with another version of the package.

    Raises:
        ValueError: naming step and versions.
    """
    name = run_folder.SESSIONS_FILE
    there = os.path.lexists(folder / name)
    for session in reader.read_object_lines(folder, name) if there else []:
        versions = session.get("versions")
        version = str(versions.get("mppi_zoo") if isinstance(versions, dict) else versions)
        if version != begun:
            raise ValueError(
                f"begun with mppi_zoo {begun} and resumed at step {session.get('step')} with "
                f"{version}: its metrics come from two versions"
            )


def _finite(metrics: pd.DataFrame, folder: Path, notes: list[str]) -> pd.DataFrame:
    """The rows with finite values; a note where evaluated returns or diagnostics are left out."""
    good = metrics["value"].abs() <= LARGEST  # False for nan
    bad = metrics[~good & metrics["split"].isin(["eval", "eval_policy"])]
    if len(bad):
        names = sorted({f"{row.split} {row.metric}" for row in bad.itertuples()})
        notes.append(
            f"{folder.name}: {len(bad)} values that are not finite are left out, of "
            f"{', '.join(names[:3])}{' …' if len(names) > 3 else ''}"
        )
    return metrics[good]
