"""Speeds and times of runs, from ``timing.csv``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mppi_zoo.analysis.run import Run

PARTS = ("plan_ms", "update_ms", "reanalysis_ms", "environment_ms", "sample_ms", "replay_ms")


def training_seconds(run: Run) -> float:
    """Seconds of training and evaluation after pretraining, as logged; nan without records.

    The first record ends the pretraining; its rate is not one of training.
    """
    rates = _series(run, "steps_per_second").iloc[1:]
    if rates.empty:
        return float("nan")
    steps = np.diff([_series(run, "steps_per_second").index[0], *rates.index])
    return float((steps / rates.to_numpy()).sum() + _series(run, "evaluation_s").sum())


def speeds(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a run: medians of agent steps/s, milliseconds by part, seconds an evaluation."""
    rows = []
    for run in runs:
        row = {
            "run": run.folder.name,
            "steps_per_second": _series(run, "steps_per_second").iloc[1:].median(),
            **{part: _series(run, part).median() for part in PARTS},
            "evaluation_s": _series(run, "evaluation_s").median(),
            "minutes": training_seconds(run) / 60,
            "device": run.record.get("device_name") or run.record.get("device", ""),
        }
        rows.append(row)
    return pd.DataFrame(rows)


def _series(run: Run, metric: str) -> pd.Series:
    rows = run.timing[run.timing["metric"] == metric]
    return rows.set_index("step")["value"].astype(float)
