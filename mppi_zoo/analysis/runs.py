"""Run folders as rows of the table; folders that cannot be used are listed with the reason."""

# pandas annotates frame[mask] as a series and group keys as any scalar, which fails these checks:
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mppi_zoo.analysis import schema
from mppi_zoo.analysis.configuration import identity, labels, parse_settings
from mppi_zoo.analysis.learning_curve import read_metrics
from mppi_zoo.runs import folder as run_folder
from mppi_zoo.runs import reader
from mppi_zoo.runs.metrics import TIMING_COLUMNS

SOURCE = "mppi_zoo"
SPLITS = {"eval": "planner", "eval_policy": "policy", "train": "train", "diagnostic": "diagnostic"}
SUITES = {"dmc": "dmcontrol", "gym": "gym", "toy": "toy", "hb": "humanoidbench"}
SUITES["hbx"] = SUITES["hb"]  # the original program; a label marks its runs
DEFAULT_ACTION_REPEAT = {"dmcontrol": 2}
COMMAND_LINE = ("--num-envs", "--init-from")
NEEDED = ("member", "task", "seed", "versions")


@dataclass
class Run:
    """The content of one run folder.

    Attributes:
        folder: its path.
        record: its ``run.json``.
        settings: its ``config.gin``, macros filled in; empty where the file is missing.
        metrics: its ``metrics.csv``.
        timing: its ``timing.csv``, empty where missing.
        label: set by :func:`load_runs`, unique to a configuration.
    """

    folder: Path
    record: dict[str, Any]
    settings: dict[str, str]
    metrics: pd.DataFrame
    timing: pd.DataFrame
    label: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        """(benchmark, robot, task)."""
        return place(self.record["task"])

    @property
    def action_repeat(self) -> int:
        """Frames per agent step."""
        own = self.settings.get("EnvOptions.action_repeat", "None")
        return DEFAULT_ACTION_REPEAT.get(self.place[0], 1) if own == "None" else int(own)

    @property
    def reached(self) -> int:
        """Agent step of the last evaluation."""
        return int(self.metrics.loc[self.metrics["split"] == "eval", "step"].max())

    @property
    def planned(self) -> int | None:
        """Agent steps that the run was configured for, if known."""
        steps = self.settings.get("TrainingOptions.steps", self.settings.get("steps"))
        return int(steps) if steps is not None and steps.isdigit() else None

    @property
    def finished(self) -> bool:
        """Whether the last evaluation was made at the end of training."""
        return self.planned is not None and self.reached >= self.planned


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


def place(task: str) -> tuple[str, str, str]:
    """(benchmark, robot, task) of a task's name in the zoo, e.g. "dmc:walker-walk".

    A HumanoidBench name is ``hb:<robot>-<task>[-v0]``, or ``hbx:`` for the original program.
    """
    suite, _, name = task.partition(":")
    benchmark = SUITES.get(suite, "custom")
    if benchmark == "custom":
        return benchmark, "own", task
    if benchmark == "gym":
        return benchmark, "own", name
    name = name.replace("_", "-").lower()
    name = name.replace("ball-in-cup-", "cup-")
    robot, _, rest = name.partition("-")
    if benchmark == "humanoidbench":
        return benchmark, robot, rest.removesuffix("-v0")
    return benchmark, "own", name


def find_folders(paths: Sequence[Path]) -> list[Path]:
    """The given folders, where a folder of run folders stands for those inside."""
    found: list[Path] = []
    for path in map(Path, paths):
        inside = sorted(p.parent for p in path.glob(f"*/{run_folder.RUN_FILE}"))
        own = (path / run_folder.RUN_FILE).is_file()
        found += [path] if own or not inside else [p for p in sorted(path.iterdir()) if p.is_dir()]
    return list(dict.fromkeys(found))


def load_run(folder: Path) -> Run:
    """One run folder.

    Raises:
        FileNotFoundError, ValueError: it cannot be used; gives the reason.
    """
    record = run_folder.read(folder)
    missing = [name for name in NEEDED if name not in record]
    if missing:
        raise ValueError(
            f"{run_folder.RUN_FILE} lacks {', '.join(missing)}: was it written by another version?"
        )
    _one_version(folder, str(record["versions"].get("mppi_zoo")))
    settings: dict[str, str] = {}
    if os.path.lexists(folder / run_folder.CONFIG_FILE):
        settings = parse_settings(reader.read_text(folder, run_folder.CONFIG_FILE))
    metrics = read_metrics(folder)
    evaluated = metrics[(metrics["split"] == "eval") & (metrics["metric"] == "episode_return")]
    if evaluated.empty:
        raise ValueError("no evaluation yet: still running, or stopped before the first")
    return Run(folder, record, settings, metrics, _timing(folder))


def _timing(folder: Path) -> pd.DataFrame:
    """The rows of ``timing.csv``; none where it is missing or has other columns."""
    if os.path.lexists(folder / "timing.csv"):
        with reader.open_file(folder, "timing.csv", reader.CSV_LIMIT) as file:
            timing = pd.read_csv(file)
        if tuple(timing.columns) == TIMING_COLUMNS:
            return timing
    return pd.DataFrame({name: [] for name in TIMING_COLUMNS})


def _one_version(folder: Path, begun: str) -> None:
    """Check that the run was never resumed with another version of the package.

    Raises:
        ValueError: naming step and versions.
    """
    name = run_folder.SESSIONS_FILE
    there = os.path.lexists(folder / name)
    for session in reader.read_object_lines(folder, name) if there else []:
        version = str(session.get("versions", {}).get("mppi_zoo"))
        if version != begun:
            raise ValueError(
                f"begun with mppi_zoo {begun} and resumed at step {session.get('step')} with "
                f"{version}: its metrics come from two versions"
            )


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
        except (OSError, ValueError) as error:
            found.skipped[folder] = str(error)
            continue
        found.runs.append(run)
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
