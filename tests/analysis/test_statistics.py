"""Statistics against plain references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from mppi_zoo.analysis import statistics

SCORES = arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(1, 7)),
    elements=st.floats(-1e3, 1e3, allow_nan=False, width=32),
)


@given(SCORES)
def test_iqm_is_the_trimmed_mean(scores: np.ndarray) -> None:
    assert statistics.iqm(scores) == pytest.approx(stats.trim_mean(scores.ravel(), 0.25))


@given(SCORES, st.floats(-10, 10), st.floats(0.1, 10))
def test_iqm_moves_with_the_scores(scores: np.ndarray, shift: float, scale: float) -> None:
    moved = statistics.iqm(scale * scores + shift)
    assert moved == pytest.approx(scale * statistics.iqm(scores) + shift, abs=1e-6)
    assert scores.min() - 1e-9 <= statistics.iqm(scores) <= scores.max() + 1e-9


@given(SCORES, SCORES)
def test_improvement_is_the_u_statistic(ours: np.ndarray, theirs: np.ndarray) -> None:
    tasks = min(len(ours), len(theirs))
    ours, theirs = ours[:tasks], theirs[:tasks]
    shares = [
        stats.mannwhitneyu(x, y).statistic / (x.size * y.size)
        for x, y in zip(ours, theirs, strict=True)
    ]
    found = statistics.improvement(ours, theirs)
    assert found == pytest.approx(np.mean(shares))
    assert found + statistics.improvement(theirs, ours) == pytest.approx(1)
    assert statistics.improvement(ours, ours) == pytest.approx(0.5)


@given(SCORES)
def test_profile_is_the_share_above(scores: np.ndarray) -> None:
    thresholds = np.linspace(-1001, 1001, 9)
    profile = statistics.performance_profile(scores, thresholds)
    plain = [(scores.ravel() > t).sum() / scores.size for t in thresholds]
    np.testing.assert_allclose(profile, plain)
    assert profile[0] == 1 and profile[-1] == 0 and (np.diff(profile) <= 0).all()


@given(SCORES, st.integers(0, 5))
def test_bootstrap_draws_within_tasks(scores: np.ndarray, seed: int) -> None:
    drawn = statistics.resampled(scores, 7, np.random.default_rng(seed))
    assert drawn.shape == (7, *scores.shape)
    for task, values in enumerate(scores):
        assert np.isin(drawn[:, task], values).all()


def test_bootstrap_covers_the_mean_and_agrees_with_scipy() -> None:
    generator = np.random.default_rng(0)
    sample = generator.normal(500, 100, size=(1, 40))
    ours = statistics.bootstrap(statistics.task_mean, list(sample), repetitions=9999)
    theirs = stats.bootstrap(
        (sample[0],), np.mean, method="percentile", n_resamples=9999, rng=generator
    ).confidence_interval
    assert ours.value == pytest.approx(sample.mean())
    assert ours.low == pytest.approx(theirs.low, abs=2)
    assert ours.high == pytest.approx(theirs.high, abs=2)


def test_bootstrap_coverage_of_a_stratified_mean() -> None:
    generator, covered = np.random.default_rng(1), 0
    levels = np.array([100.0, 500.0, 900.0])  # tasks differ far more than runs do
    for seed in range(200):
        scores = levels[:, None] + generator.normal(0, 30, size=(3, 10))
        found = statistics.bootstrap(statistics.task_mean, list(scores), repetitions=300, seed=seed)
        covered += int(found.low <= 500 <= found.high)
    assert 0.86 <= covered / 200 <= 0.99


def test_mean_interval_is_students() -> None:
    values = np.array([3.0, 4.0, 8.0, 9.0])
    reference = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert statistics.mean_interval(values) == pytest.approx((reference.low, reference.high))
    assert np.isnan(statistics.mean_interval(values[:2])).all()


@given(
    st.lists(st.integers(1, 100), min_size=2, max_size=8, unique=True),
    st.floats(-100, 100),
    st.floats(-5, 5),
)
def test_area_under_a_straight_line(steps: list[int], start: float, slope: float) -> None:
    steps = sorted(steps)
    values = start + slope * np.array(steps)
    middle = start + slope * (steps[0] + steps[-1]) / 2
    area = statistics.area_under_curve(np.array(steps), values)
    assert area == pytest.approx(middle, abs=1e-6)


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"different numbers of runs \(2, 3\)"):
        statistics.bootstrap(statistics.iqm, [np.ones(2), np.ones(3)])
    with pytest.raises(ValueError, match="not finite"):
        statistics.bootstrap(statistics.iqm, [np.array([1.0, np.nan])])
    with pytest.raises(ValueError, match="one run or more"):
        statistics.bootstrap(statistics.iqm, [])
    with pytest.raises(ValueError, match="increasing order"):
        statistics.area_under_curve(np.array([2, 1]), np.ones(2))
