"""Alarms: what is one, and what only looks like it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.run_folders import make_run

from mppi_zoo.analysis import report
from mppi_zoo.runs.alarms import Measured, alarms
from mppi_zoo.training.evaluation_record import EvaluationRecord


def rows(metric: str, values: list[float], split: str = "diagnostic") -> list[Measured]:
    return [Measured(1000 * (n + 1), split, metric, value) for n, value in enumerate(values)]


def found(*series: list[Measured]) -> list[tuple[int, str]]:
    return [(a.step, a.name) for a in alarms(row for one in series for row in one)]


@pytest.mark.parametrize(
    ("norm", "at_bound", "spread", "expected"),
    [
        (3e-4, 0.97, 0.5, True),  # as in the issue: std at its bound, no gradient
        (3e-4, 0.1, 0.01, True),  # a constant action
        (3e-4, 0.1, 0.5, False),
        (0.05, 0.97, 0.01, False),  # it still learns
    ],
)
def test_a_saturated_policy(norm: float, at_bound: float, spread: float, expected: bool) -> None:
    metrics = rows("policy_std_at_bound", [at_bound]) + rows("policy_action_spread", [spread])
    gradient = [Measured(500, "train", "policy_grad_norm", norm)]
    later = [Measured(1500, "train", "policy_grad_norm", 1.0)]  # after the evaluation
    assert found(metrics, gradient, later) == [(1000, "policy saturates")] * expected


@pytest.mark.parametrize(
    ("excess", "earned", "expected"),
    [
        ([22, 49, 78, 100, 108], 21.0, [4000, 5000]),
        ([22, 49, 78, 60, 108], 21.0, []),  # it fell in between
        ([1, 2, 3, 4], 500.0, []),  # small beside the return
        ([22, 49, 78], 21.0, []),  # too few evaluations
    ],
)
def test_growing_over_estimation(excess: list[float], earned: float, expected: list[int]) -> None:
    names = found(rows("overestimation", excess), rows("value_return", [earned] * len(excess)))
    assert names == [(step, "over-estimation grows") for step in expected]


def test_missed_ends() -> None:
    assert found(rows("termination_recall", [0.2, 0.6, 0.4, 0.3])) == [(4000, "ends are missed")]


def test_the_run_says_it_and_the_report_marks_it(tmp_path: Path, capsys) -> None:
    folder, told = make_run(tmp_path / "run"), list[str]()
    rows = [(n * 1000, "diagnostic", "termination_recall", 0.1) for n in (1, 2, 3)]
    with (folder / "metrics.csv").open("a") as file:
        file.writelines(",".join(map(str, row)) + "\n" for row in rows)
    progress = cast(Any, SimpleNamespace(message=told.append))
    record = EvaluationRecord(folder, cast(Any, None), progress)
    record.alarm(1000)
    assert told == []
    record.alarm(3000)
    assert len(told) == 1 and told[0].startswith("warning: step 3000: the model sees 10 % of")
    assert report.main([str(folder), "--out", str(tmp_path / "page")]) == 0
    text = (tmp_path / "page" / "index.html").read_text()
    assert "ends are missed" in text and "run, step 3,000: the model sees 10 %" in text
