"""The table of the whole analysis, for runs and published curves, and checks of what may be mixed.

=============  ==================================================================================
column         meaning
=============  ==================================================================================
source         who measured: "mppi_zoo" or the key of a release, see ``published.SOURCES``
benchmark      dmcontrol, humanoidbench, gym, toy or custom
robot          h1, h1hand, ... where the benchmark lets one choose; else the task's own
task           without benchmark and robot, dashes for underscores
algorithm      label of the method, e.g. "tdmpc2", "pompc_replay [lam=10.0]"
run            one training run within its source; of averaged rows, their series
seed           <NA> where seeds are averaged
split          planner, policy, train, diagnostic
metric         e.g. episode_return
agent_step     after action repeat
frames         environment frames, before action repeat
value          the measurement, or the mean over seeds
low, high      published interval, <NA> for single runs
interval       what low and high are: "95 % interval", "std over seeds", "band of the release"
               (which does not say) or ""
seeds          how many are averaged in value: 1, more, or <NA> if the source does not say
=============  ==================================================================================
"""

# pandas annotates frame[mask] as a series and group keys as any scalar, which fails these checks:
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false

from __future__ import annotations

import pandas as pd

TYPES = {
    "source": "str",
    "benchmark": "str",
    "robot": "str",
    "task": "str",
    "algorithm": "str",
    "run": "str",
    "seed": "Int64",
    "split": "str",
    "metric": "str",
    "agent_step": "int64",
    "frames": "int64",
    "value": "float64",
    "low": "float64",
    "high": "float64",
    "interval": "str",
    "seeds": "Int64",
}
COLUMNS = tuple(TYPES)
SERIES = ["source", "algorithm"]
WHERE = ["benchmark", "robot", "task"]
STEP_UNITS = {
    "agent_step": "agent steps",
    "frames": "environment frames",
}
CI = "95 % interval"
STD = "std over seeds"
BAND = "band of the release"

# Benchmarks in which the same task exists for several robots.
ROBOT_IS_A_CHOICE = frozenset({"humanoidbench"})

# Least and greatest episode return by benchmark, where all tasks share them.
RETURN_RANGE = {"dmcontrol": (0.0, 1000.0)}


class MixedError(ValueError):
    """Rows were given together that must not be averaged or compared."""


def empty() -> pd.DataFrame:
    """The table without rows."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in TYPES.items()})


def conform(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with every column of the table in its type and order.

    Raises:
        ValueError: a column is missing, or an agent step exceeds its frames.
    """
    missing = [name for name in COLUMNS if name not in rows.columns]
    if missing:
        raise ValueError(f"rows lack the columns {', '.join(missing)}; see analysis.schema")
    rows = rows[list(COLUMNS)].astype(TYPES).reset_index(drop=True)
    wrong = rows[(rows["agent_step"] > rows["frames"]) | (rows["agent_step"] < 0)]
    if len(wrong):
        raise ValueError(
            f"agent step {wrong['agent_step'].iloc[0]} with {wrong['frames'].iloc[0]} frames: an "
            "agent step has one frame or more; were the units exchanged?"
        )
    return rows


def combine(*tables: pd.DataFrame) -> pd.DataFrame:
    """Several tables as one; the functions that average check whether their rows may be."""
    present = [conform(table) for table in tables if len(table)]
    return pd.concat(present, ignore_index=True) if present else empty()


def pick(table: pd.DataFrame, **wanted: object) -> pd.DataFrame:
    """Rows whose columns equal a value or are in a list: ``pick(table, metric="episode_return")``.

    Raises:
        KeyError: no such column.
        ValueError: no row is left; lists the values that exist.
    """
    rows = table
    for column, value in wanted.items():
        if column not in table.columns:
            raise KeyError(f"no column {column!r}; there are {', '.join(table.columns)}")
        values = list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]
        known = rows[column].dropna().unique()
        chosen = rows[rows[column].isin(values)]
        absent = [v for v in values if v not in set(known)]
        if absent:
            listed = ", ".join(map(str, sorted(known, key=str)[:40]))
            raise ValueError(
                f"no rows with {column} = {', '.join(map(str, absent))}; have {listed}"
            )
        rows = chosen
    return rows.reset_index(drop=True)


def one(rows: pd.DataFrame, *columns: str) -> None:
    """Check that each column has a single value.

    Raises:
        MixedError: naming the values.
    """
    for column in columns:
        values = sorted(map(str, rows[column].dropna().unique()))
        if len(values) > 1:
            raise MixedError(
                f"{column} is mixed: {', '.join(values[:8])}; pick one, or treat them one by one"
            )


def check_robots(rows: pd.DataFrame) -> None:
    """Check that no task appears with two robots, and no choice of robot is mixed.

    Raises:
        MixedError: naming robots and tasks.
    """
    for benchmark, part in rows.groupby("benchmark"):
        robots = sorted(part["robot"].unique())
        if benchmark in ROBOT_IS_A_CHOICE and len(robots) > 1:
            raise MixedError(
                f"robots are mixed on {benchmark}: {', '.join(robots)}. The same task is another "
                "problem for another robot: pick(table, robot=...)"
            )
        for task, same in part.groupby("task"):
            if same["robot"].nunique() > 1:
                raise MixedError(
                    f"robots are mixed on {task}: {', '.join(sorted(same['robot'].unique()))}"
                )


def check_tasks(rows: pd.DataFrame) -> None:
    """Check that all series have the same tasks; otherwise their means cannot be compared.

    Raises:
        MixedError: naming a series and the tasks that it lacks.
    """
    everything = set(rows["task"])
    for (source, algorithm), part in rows.groupby(SERIES):
        lacking = sorted(everything - set(part["task"]))
        if lacking:
            raise MixedError(
                f"{algorithm} of {source} has no {', '.join(lacking)}, which others have: means "
                "over different tasks cannot be compared; pick(table, task=[...]) the tasks that "
                "all have"
            )


def step_unit(rows: pd.DataFrame, unit: str) -> str:
    """``unit`` if it means the same in all rows.

    Args:
        unit: "agent_step" or "frames".

    Raises:
        ValueError: another word.
        MixedError: agent steps of different lengths within one task.
    """
    if unit not in STEP_UNITS:
        raise ValueError(f"step unit {unit!r}: expected one of {', '.join(STEP_UNITS)}")
    if unit == "agent_step":
        moved = rows[rows["agent_step"] > 0]
        repeat = (moved["frames"] / moved["agent_step"]).round(6)
        for (benchmark, task), part in repeat.groupby([moved["benchmark"], moved["task"]]):
            if part.nunique() > 1:
                lengths = ", ".join(f"{length:g}" for length in sorted(part.unique()))
                raise MixedError(
                    f"agent steps on {benchmark} {task} have {lengths} frames: compare by "
                    "unit='frames'"
                )
    return unit
