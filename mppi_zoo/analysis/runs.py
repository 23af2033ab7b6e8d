"""Run folders as rows of the table; folders that cannot be used are listed with the reason."""

# pandas annotates frame[mask] as a series and group keys as any scalar, which fails these checks:
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mppi_zoo.analysis import schema
from mppi_zoo.analysis.configuration import identity, labels
from mppi_zoo.analysis.run import Run, load_run
from mppi_zoo.runs import folder as run_folder
from mppi_zoo.runs.outcome import describe

SOURCE = "mppi_zoo"
SPLITS = {"eval": "planner", "eval_policy": "policy", "train": "train", "diagnostic": "diagnostic"}
COMMAND_LINE = ("--num-envs", "--init-from")


@dataclass
class Runs:
    """Runs that were read, folders that were skipped with the reason, and notes for the reader."""

    runs: list[Run] = field(default_factory=list)
    skipped: dict[Path, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def table(self) -> pd.DataFrame:
        """All rows; see :mod:`mppi_zoo.analysis.schema`."""
        return schema.combine(*(rows(run) for run in self.runs))


def find_folders(paths: Sequence[Path]) -> list[Path]:
    """The given folders, where a folder of run folders stands for those inside."""
    found: list[Path] = []
    for path in map(Path, paths):
        try:
            inside = sorted(p.parent for p in path.glob(f"*/{run_folder.RUN_FILE}"))
            own = (path / run_folder.RUN_FILE).is_file()
            folders = [p for p in sorted(path.iterdir()) if p.is_dir()] if inside else []
        except OSError:  # it may not be read, which load_run then says
            own, inside, folders = True, [], []
        found += [path] if own or not inside else folders
    return list(dict.fromkeys(found))


def load_runs(paths: Sequence[Path]) -> Runs:
    """Read run folders, or folders of run folders; unusable ones are skipped with the reason.

    Runs of one member whose configurations differ get different labels, which say how they differ;
    so they are never averaged. The same holds for different versions of the package. A seed is
    counted once.
    """
    found = Runs()
    for folder in find_folders(paths):
        try:
            run = load_run(folder)
            rows(run)  # here, so that a folder that fits no table is told apart
        except Exception as error:  # a folder may hold anything; the report is of the others
            found.skipped[folder] = describe(error)
            continue
        found.runs.append(run)
        found.notes += run.notes
    _label(found)
    _leave_out_repeated_seeds(found)
    for run in found.runs:
        if not run.finished:
            upto = "an unknown number" if run.planned is None else f"{run.planned:,}"
            found.notes.append(
                f"{run.folder.name} is unfinished or was stopped: evaluated up to "
                f"{run.reached:,} of {upto} agent steps"
            )
    return found


def _label(found: Runs) -> None:
    versions = [str(run.record["versions"].get("mppi_zoo")) for run in found.runs]
    identities = [
        identity(run.settings) | {"mppi_zoo": version} | _from_command_line(run.record)
        for run, version in zip(found.runs, versions, strict=True)
    ]
    members = [str(run.record["member"]) for run in found.runs]
    for run, label in zip(found.runs, labels(members, identities), strict=True):
        original = str(run.record["task"]).startswith("hbx:")
        run.label = f"{label} [original program]" if original else label
    if len(set(versions)) > 1:
        found.notes.append(f"versions of mppi_zoo differ: {', '.join(sorted(set(versions)))}")


def _from_command_line(record: dict[str, Any]) -> dict[str, str]:
    """Options of the command line that change the training but are not in config.gin."""
    words = [str(word) for word in record.get("command_line", [])]
    found = {}
    for word, following in zip(words, [*words[1:], ""], strict=False):
        name, equals, value = word.partition("=")
        if name in COMMAND_LINE:
            found[name.strip("-")] = value if equals else following
    return found


def _leave_out_repeated_seeds(found: Runs) -> None:
    """Of runs with the same configuration, task and seed, keep only the one with the most steps."""
    longest: dict[tuple[str, str, Any], Run] = {}
    for run in sorted(found.runs, key=lambda run: -run.reached):
        kept = longest.setdefault((run.label, run.record["task"], run.record["seed"]), run)
        if kept is not run:
            found.skipped[run.folder] = (
                f"{kept.folder} has the same configuration, task and seed {run.record['seed']} "
                "and as many steps or more: with both, one seed would count twice"
            )
    found.runs = [run for run in found.runs if run.folder not in found.skipped]


def rows(run: Run) -> pd.DataFrame:
    """A run's metrics in the table's columns."""
    kept = run.metrics[run.metrics["split"].isin(list(SPLITS))]
    benchmark, robot, task = run.place
    table = pd.DataFrame(
        {
            "split": kept["split"].map(SPLITS),
            "metric": kept["metric"],
            "agent_step": kept["step"],
            "frames": kept["step"] * run.action_repeat,
            "value": kept["value"],
        }
    )
    constant = {
        "source": SOURCE,
        "benchmark": benchmark,
        "robot": robot,
        "task": task,
        "algorithm": run.label or str(run.record["member"]),
        "run": str(run.folder),
        "seed": run.record["seed"],
        "low": float("nan"),
        "high": float("nan"),
        "interval": "",
        "seeds": 1,
    }
    return schema.conform(table.assign(**constant))
