"""Means over tasks."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.run_folders import make_run

from mppi_zoo import analysis
from mppi_zoo.analysis import MixedError


def test_means_over_other_tasks_are_not_compared(tmp_path: Path) -> None:
    make_run(tmp_path / "a", seed=1)
    make_run(tmp_path / "b", seed=1, task="dmc:cup-catch")
    make_run(tmp_path / "c", seed=1, member="bmpc_equiv")
    returns = analysis.evaluations(analysis.load_runs([tmp_path]).table)
    scores = analysis.scores_at(returns, 2000, "agent_step")
    for refuses in (
        lambda: analysis.mean_over_tasks(scores),
        lambda: analysis.estimates(scores),
        lambda: analysis.sample_efficiency(returns, "agent_step"),
    ):
        with pytest.raises(MixedError, match="bmpc_equiv of mppi_zoo has no cup-catch"):
            refuses()
    shared = analysis.pick(scores, task="walker-walk")
    assert len(analysis.mean_over_tasks(shared)) == 2
