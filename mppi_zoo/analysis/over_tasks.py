"""Aggregates over tasks: means, bootstrapped statistics, comparisons of pairs.

Every function keeps sources and algorithms apart and refuses to mix robots or step units.
"""

# pandas annotates frame[mask] as a series and group keys as any scalar, which fails these checks:
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from mppi_zoo.analysis import schema, statistics
from mppi_zoo.analysis.schema import CI, SERIES, MixedError

Z95 = 1.959964  # half-width of the normal distribution's 95 % interval, in standard errors


def mean_over_tasks(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean over tasks of the mean over runs, by source and algorithm; all tasks weigh the same.

    There is an interval if each task has one (three runs or more, or a published 95 % interval). It
    assumes that tasks are independent.

    Returns:
        Columns source, algorithm, tasks, runs (<NA> where the source does not say), value, low,
        high.

    Raises:
        MixedError: there are two benchmarks, whose returns differ in scale, or series that have
            different tasks.
    """
    schema.one(scores, "benchmark", "split", "metric")
    schema.check_robots(scores)
    schema.check_tasks(scores)
    rows = []
    for key, part in scores.groupby(SERIES, sort=False):
        tasks = [_task_mean(task) for _, task in part.groupby("task")]
        value = float(np.mean([mean for mean, _ in tasks]))
        half = Z95 * float(np.sqrt(np.sum([error**2 for _, error in tasks]))) / len(tasks)
        facts = {"tasks": len(tasks), "runs": part["seeds"].sum(skipna=False), "value": value}
        facts |= {"low": value - half, "high": value + half}
        rows.append({**dict(zip(SERIES, key, strict=True)), **facts})
    return pd.DataFrame(rows)


def _task_mean(part: pd.DataFrame) -> tuple[float, float]:
    """Mean and its standard error on one task; the latter nan where it is unknown."""
    values = part["value"].to_numpy()
    if len(part) == 1:
        known = part["interval"].iloc[0] == CI
        width = float(part["high"].iloc[0] - part["low"].iloc[0])
        return float(values[0]), width / (2 * Z95) if known else float("nan")
    if len(part) < statistics.FEWEST_FOR_INTERVAL:
        return float(values.mean()), float("nan")
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def by_task(scores: pd.DataFrame) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """Scores of single runs for the bootstrap: (source, algorithm) -> task -> [runs].

    Raises:
        MixedError: the rows are averages over seeds, or robots or benchmarks are mixed.
    """
    schema.one(scores, "benchmark", "split", "metric")
    schema.check_robots(scores)
    averaged = scores[~scores["seeds"].eq(1).fillna(False)]
    if len(averaged):
        raise MixedError(
            f"{averaged['source'].iloc[0]} gives means over seeds: the bootstrap needs single runs"
        )
    return {
        (str(source), str(algorithm)): {
            str(task): group["value"].to_numpy() for task, group in part.groupby("task")
        }
        for (source, algorithm), part in scores.groupby(SERIES, sort=False)
    }


def estimates(
    scores: pd.DataFrame, statistic: Callable[[np.ndarray], np.ndarray] = statistics.iqm
) -> pd.DataFrame:
    """A statistic over all runs and tasks with its stratified bootstrap interval.

    Returns:
        Columns source, algorithm, value, low, high, tasks, runs.

    Raises:
        MixedError: see :func:`by_task`; or series have different tasks.
        ValueError: see :func:`mppi_zoo.analysis.statistics.matrix`.
    """
    schema.check_tasks(scores)
    rows = []
    for key, tasks in by_task(scores).items():
        found = statistics.bootstrap(statistic, list(tasks.values()))
        interval = dict(zip(("value", "low", "high"), map(float, found), strict=True))
        counts = {"tasks": len(tasks), "runs": sum(map(len, tasks.values()))}
        rows.append({**dict(zip(SERIES, key, strict=True)), **interval, **counts})
    return pd.DataFrame(rows)


def improvements(scores: pd.DataFrame) -> pd.DataFrame:
    """For each pair X, Y the probability that a run of X beats one of Y on a random task.

    Only tasks that both have are used.

    Returns:
        Columns x, y ((source, algorithm) each), value, low, high, tasks.
    """
    found, rows = by_task(scores), []
    for number, (x, ours) in enumerate(found.items()):
        for y, theirs in list(found.items())[number + 1 :]:
            shared = [task for task in ours if task in theirs]
            if not shared:
                continue
            pair = [[group[task] for task in shared] for group in (ours, theirs)]
            estimate = statistics.bootstrap(statistics.improvement, *pair)
            interval = dict(zip(("value", "low", "high"), map(float, estimate), strict=True))
            rows.append({"x": x, "y": y, **interval, "tasks": len(shared)})
    return pd.DataFrame(rows)


def sample_efficiency(
    table: pd.DataFrame, unit: str, statistic: Callable[[np.ndarray], np.ndarray] = statistics.iqm
) -> pd.DataFrame:
    """A statistic over all tasks and runs at each step that all runs of an algorithm have.

    Returns:
        Columns source, algorithm, step, value, low, high, tasks, runs.
    """
    schema.step_unit(table, unit)
    schema.check_tasks(table)
    parts = []
    for _, group in table.groupby(SERIES, sort=False):
        counts = group.groupby(unit)["run"].nunique()
        for step in counts.index[counts == group["run"].nunique()]:
            parts.append(estimates(group[group[unit] == step], statistic).assign(step=int(step)))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
