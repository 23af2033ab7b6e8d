"""Which windows an update learns from: uniform, or fresher ones likelier (method.md, section 6)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from support.replays import SPEC, fill

from mppi_zoo.training.replay import Replay
from mppi_zoo.training.sampling import RecencySampling, Sampling, UniformSampling

FEW = settings(max_examples=max(5, settings().max_examples // 4))


def frequencies(sampling: Sampling, counts: np.ndarray, draws: int, seed: int) -> list[np.ndarray]:
    """How often each window of each lane was drawn."""
    lanes, positions = sampling.draw(counts, draws, np.random.default_rng(seed))
    return [np.bincount(positions[lanes == n], minlength=count) for n, count in enumerate(counts)]


@FEW
@given(
    counts=st.lists(st.integers(0, 12), min_size=1, max_size=3).filter(any),
    tau=st.floats(0.5, 50.0),
    seed=st.integers(0, 1000),
)
def test_recent_windows_are_likelier_by_the_exponential_of_their_age(
    counts: list[int], tau: float, seed: int
) -> None:
    held, draws = np.array(counts), 20_000
    ages = [len(held) * np.arange(count)[::-1] for count in held]
    weights = np.concatenate([np.exp(-age / tau) for age in ages])
    expected = draws * weights / weights.sum()
    found = np.concatenate(frequencies(RecencySampling(tau), held, draws, seed))
    assert found.sum() == draws
    likely = expected > 5
    statistic = ((found - expected)[likely] ** 2 / expected[likely]).sum()
    rest, rare = found[~likely].sum(), expected[~likely].sum()
    assert statistic < chi2.ppf(1 - 1e-7, max(int(likely.sum()), 1))
    assert rest <= rare + 8 * np.sqrt(rare) + 8


@given(tau=st.floats(0.5, 1e9), seed=st.integers(0, 1000))
def test_draws_stay_within_what_is_held(tau: float, seed: int) -> None:
    held = np.array([3, 0, 1, 0])
    for sampling in (RecencySampling(tau), UniformSampling()):
        lanes, positions = sampling.draw(held, 500, np.random.default_rng(seed))
        assert ((positions >= 0) & (positions < held[lanes])).all()


class Extreme:
    """A generator whose numbers lie at the ends of [0, 1)."""

    def __init__(self, value: float):
        self.value = value

    def random(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, self.value)


@pytest.mark.parametrize("tau", [1e-3, 1.0, 1e6, 1e15])
@pytest.mark.parametrize("value", [0.0, np.nextafter(1.0, 0.0)])
def test_the_ends_of_the_distribution(tau: float, value: float) -> None:
    held = np.array([4, 1_000_000, 0])
    source: object = Extreme(value)
    lanes, positions = RecencySampling(tau).draw(held, 8, source)  # pyright: ignore
    assert ((positions >= 0) & (positions < held[lanes])).all()


def test_a_long_memory_is_uniform_and_a_short_one_the_newest() -> None:
    counts = np.array([8, 8])
    uniform = np.concatenate(frequencies(RecencySampling(1e12), counts, 40_000, 0))
    assert np.abs(uniform / 2500 - 1).max() < 0.1
    for lane in frequencies(RecencySampling(0.05), counts, 1000, 0):
        assert lane[-1] > 0 and lane[:-1].sum() == 0


def test_the_replay_draws_as_its_sampling_says() -> None:
    replay = Replay(SPEC, 200, 3, num_envs=2, sampling=RecencySampling(2.0))
    fill(replay, 60, {})
    batch = replay.sample(400, np.random.default_rng(0))
    newest = np.concatenate([starts.take(np.array([starts.count - 1])) for starts in replay.starts])
    rows = batch.index[0].numpy() % replay.lane_rows
    assert np.isin(rows, newest).mean() > 0.5


def test_tau_must_be_positive() -> None:
    for tau in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="RecencySampling.tau = "):
            RecencySampling(tau)
