"""Curves, scores and areas over seeds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.run_folders import make_run

from mppi_zoo import analysis
from mppi_zoo.analysis import MixedError


def test_agent_steps_of_two_lengths_are_refused(tmp_path: Path) -> None:
    make_run(tmp_path / "two", seed=1)
    make_run(tmp_path / "four", seed=2, repeat="4")
    returns = analysis.evaluations(analysis.load_runs([tmp_path]).table)
    with pytest.raises(MixedError, match="walker-walk have .*2.*4.* frames"):
        analysis.curves(returns, "agent_step")
    drawn = analysis.curves(returns, "frames")
    assert set(drawn["step"]) == {2000, 4000, 6000, 8000, 12000}
    with pytest.raises(ValueError, match="step unit 'steps': expected one of agent_step, frames"):
        analysis.curves(returns, "steps")


def test_curves_of_one_two_and_three_seeds(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        make_run(tmp_path / str(seed), seed=seed, steps=(1000, 2000)[: 1 if seed == 3 else 2])
    for count, kind in ((1, ""), (2, "lowest to highest seed"), (3, "95 % interval")):
        folders = [tmp_path / str(seed) for seed in range(1, count + 1)]
        returns = analysis.evaluations(analysis.load_runs(folders).table)
        drawn = analysis.curves(returns, "agent_step")
        # the third run ends early: no mean over the two that got further
        assert drawn["step"].tolist() == ([1000] if count == 3 else [1000, 2000])
        first = drawn.iloc[0]
        assert first["value"] == pytest.approx(100 + np.mean(range(1, count + 1)))
        assert first["interval"] == kind and first["seeds"] == count
        assert np.isnan(first["low"]) == (count == 1)
        assert count == 1 or first["low"] < first["value"] < first["high"]


def test_scores_at_a_common_step_only(tmp_path: Path) -> None:
    make_run(tmp_path / "short", seed=1, steps=(1000, 2000))
    make_run(tmp_path / "long", seed=2)
    returns = analysis.evaluations(analysis.load_runs([tmp_path]).table)
    with pytest.raises(MixedError, match=r"end at different steps \(2,000, 3,000\)"):
        analysis.scores_at(returns, None, "agent_step")
    assert analysis.common_step(returns, "agent_step") == 2000
    assert analysis.common_step(returns, "frames") == 4000
    assert len(analysis.scores_at(returns, 2000, "agent_step")) == 2


def test_on_grid_interpolates_and_never_extrapolates(tmp_path: Path) -> None:
    make_run(tmp_path / "run", seed=0)
    returns = analysis.evaluations(analysis.load_runs([tmp_path / "run"]).table)
    grid = analysis.on_grid(returns, [500, 1500, 2500, 3500], "agent_step")
    assert grid["agent_step"].tolist() == [1500, 2500]
    assert grid["frames"].tolist() == [3000, 5000]
    np.testing.assert_allclose(grid["value"], [150, 250])


def test_area_is_taken_over_the_same_steps(tmp_path: Path) -> None:
    make_run(tmp_path / "short", seed=0, steps=(1000, 2000))
    make_run(tmp_path / "long", seed=1, member="bmpc_equiv")
    returns = analysis.evaluations(analysis.load_runs([tmp_path]).table)
    found = analysis.areas(returns, "agent_step").set_index("algorithm")["value"]
    assert found["pompc_replay"] == pytest.approx(150)
    assert found["bmpc_equiv"] == pytest.approx(151)
