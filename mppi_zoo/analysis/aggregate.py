"""Aggregates over the runs of each task: curves, final scores, areas under curves.

Every function keeps sources and algorithms apart and refuses to mix robots or step units.
"""

# pandas annotates frame[mask] as a series and group keys as any scalar, which fails these checks:
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mppi_zoo.analysis import schema, statistics
from mppi_zoo.analysis.schema import CI, SERIES, WHERE, MixedError

EXTREMES = "lowest to highest seed"


def evaluations(table: pd.DataFrame, split: str = "planner") -> pd.DataFrame:
    """The evaluated episode returns."""
    return schema.pick(table, split=split, metric="episode_return")


def curves(table: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Mean and interval at each step, by source, algorithm and task.

    The interval of single runs is Student's 95 % interval from three runs on, and lowest to highest
    of two. Only steps that all runs of a curve have are kept: where a run ends, the mean over the
    others would jump. Rows that the source has averaged keep their mean and interval.

    Args:
        table: one split and metric.
        unit: of the steps, "agent_step" or "frames".

    Returns:
        Columns source, algorithm, benchmark, robot, task, step, value, low, high, interval, seeds.

    Raises:
        MixedError: robots, step units, splits or metrics are mixed.
    """
    schema.one(table, "split", "metric")
    schema.check_robots(table)
    schema.step_unit(table, unit)
    rows = []
    for key, part in table.groupby([*SERIES, *WHERE], sort=False):
        single = part["seeds"].eq(1).fillna(False)
        if single.any() and not single.all():
            raise MixedError(f"{key} has single runs and averages over seeds: pick one kind")
        if single.all():
            points = _of_runs(part, unit)
        else:
            names = ["value", "low", "high", "interval", "seeds"]
            points = part.rename(columns={unit: "step"})[["step", *names]]
        keys = dict(zip([*SERIES, *WHERE], key, strict=True))
        rows.append(points.sort_values("step").assign(**keys))
    columns = [*SERIES, *WHERE, "step", "value", "low", "high", "interval", "seeds"]
    return pd.concat(rows, ignore_index=True)[columns] if rows else pd.DataFrame(columns=columns)


def _of_runs(part: pd.DataFrame, unit: str) -> pd.DataFrame:
    by_run = part.pivot_table(index=unit, columns="run", values="value").dropna()
    values = by_run.to_numpy()
    count = values.shape[1]
    if count >= statistics.FEWEST_FOR_INTERVAL:
        bounds = np.array([statistics.mean_interval(row) for row in values]).reshape(-1, 2)
        kind = CI
    else:
        bounds = np.stack([values.min(1), values.max(1)], 1) if count == 2 else values * np.nan
        bounds = np.broadcast_to(bounds, (len(values), 2))
        kind = EXTREMES if count == 2 else ""
    return pd.DataFrame(
        {
            "step": by_run.index,
            "value": values.mean(1),
            "low": bounds[:, 0],
            "high": bounds[:, 1],
            "interval": kind,
            "seeds": count,
        }
    )


def scores_at(
    table: pd.DataFrame, step: int | None, unit: str, tasks: Sequence[str] | None = None
) -> pd.DataFrame:
    """The rows measured at exactly one step, or at each run's last one.

    Args:
        step: in ``unit``; None: the last, which must be the same for all runs on a task.
        tasks: the tasks that every algorithm must have; None: those that the algorithm has at all.

    Raises:
        ValueError: an algorithm lacks a task at that step.
        MixedError: robots or step units are mixed, or last steps differ.
    """
    schema.one(table, "split", "metric")
    schema.check_robots(table)
    schema.step_unit(table, unit)
    if tasks is not None:
        table = schema.pick(table, task=list(tasks))
    if step is None:
        rows = table.loc[table.groupby(["source", "run"])[unit].idxmax()]
        for task, part in rows.groupby("task"):
            if part[unit].nunique() > 1:
                ends = ", ".join(f"{end:,}" for end in sorted(part[unit].unique()))
                raise MixedError(
                    f"runs on {task} end at different steps ({ends}): name a step, e.g. by "
                    "common_step"
                )
    else:
        rows = table[table[unit] == step]
    for key, part in table.groupby(SERIES):
        here = rows[(rows[SERIES] == list(key)).all(axis=1)]
        wanted = set(part["task"]) if tasks is None else set(tasks)
        lacking = sorted(wanted - set(here["task"]))
        if lacking:
            at = "at all" if step is None else f"at {step:,} {schema.STEP_UNITS[unit]}"
            raise ValueError(
                f"{' of '.join(reversed(key))} has no value {at} for {', '.join(lacking)}: choose "
                "another step or fewer tasks, or interpolate by on_grid"
            )
    return rows.reset_index(drop=True)


def common_step(table: pd.DataFrame, unit: str) -> int | None:
    """The last step at which all runs were measured; None if there is none."""
    schema.step_unit(table, unit)
    runs = table.groupby(["source", "run"])[unit]
    shared = set.intersection(*(set(steps) for _, steps in runs)) if len(table) else set()
    return int(max(shared)) if shared else None


def on_grid(table: pd.DataFrame, steps: Sequence[int], unit: str) -> pd.DataFrame:
    """Each run interpolated linearly to the given steps, never extrapolated.

    For runs that were evaluated at different steps. Steps after a run's end are left out.
    """
    schema.step_unit(table, unit)
    other = "frames" if unit == "agent_step" else "agent_step"
    grid, parts = np.asarray(sorted(steps), dtype=np.int64), []
    for _, run in table.groupby(["source", "run", "split", "metric"], sort=False):
        run = run.sort_values(unit).drop_duplicates(unit)
        known = run[unit].to_numpy()
        inside = grid[(grid >= known[0]) & (grid <= known[-1])]
        new = pd.DataFrame({unit: inside})
        for name in ("value", "low", "high", other):
            new[name] = np.interp(inside, known, run[name].to_numpy())
        constant = run.iloc[0].drop([unit, other, "value", "low", "high"]).to_dict()
        parts.append(new.assign(**constant))
    return schema.combine(*parts)


def areas(table: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Mean return while learning: the area under each run's curve divided by the curve's length.

    The curve ends at the last step that all runs on the task reached.

    Returns:
        One row for each run: the table's columns, with the mean in ``value`` and the last step in
        the column ``unit``.
    """
    schema.one(table, "split", "metric")
    schema.step_unit(table, unit)
    rows = []
    for _, task in table.groupby(WHERE, sort=False):
        last = task.groupby(["source", "run"])[unit].max().min()
        first = task.groupby(["source", "run"])[unit].min().max()
        for _, run in task.groupby(["source", "run"], sort=False):
            curve = run.sort_values(unit).drop_duplicates(unit)
            steps = curve[unit].to_numpy()
            grid = np.unique([first, *steps[(steps >= first) & (steps <= last)], last])
            if len(grid) < 2:
                continue
            values = np.interp(grid, steps, curve["value"].to_numpy())
            row = curve.iloc[-1].to_dict()
            rows.append({**row, unit: last, "value": statistics.area_under_curve(grid, values)})
    return pd.DataFrame(rows)
