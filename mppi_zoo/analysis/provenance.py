"""Finds published curves that two sources share: one measurement, published twice."""

from __future__ import annotations

import itertools

import pandas as pd

from mppi_zoo.analysis import aggregate
from mppi_zoo.analysis.schema import WHERE


def copies(table: pd.DataFrame, tolerance: float = 0.05, points: int = 10) -> pd.DataFrame:
    """Pairs of series of two sources that agree at all steps which both have.

    Such a pair is one experiment published twice, so that its agreement is no evidence.

    Args:
        table: published returns.
        tolerance: largest difference that counts as agreement, for rounding.
        points: shared points, over all tasks, that a pair must have at least.

    Returns:
        Columns algorithm, one, other (sources), tasks, points.
    """
    curves = aggregate.curves(table, "frames")
    keys, rows = [*WHERE, "step"], []
    for algorithm, part in curves.groupby("algorithm", sort=False):
        series = {source: own.set_index(keys)["value"] for source, own in part.groupby("source")}
        for one, other in itertools.combinations(series, 2):
            both = pd.concat([series[one], series[other]], axis=1, join="inner").dropna()
            moved = both[both.index.get_level_values("step") > 0]
            if (
                len(moved) >= points
                and (moved.iloc[:, 0] - moved.iloc[:, 1]).abs().max() < tolerance
            ):
                tasks = moved.index.get_level_values("task").nunique()
                facts = {"tasks": tasks, "points": len(moved)}
                rows.append({"algorithm": algorithm, "one": one, "other": other, **facts})
    return pd.DataFrame(rows, columns=["algorithm", "one", "other", "tasks", "points"])
