"""The random draws of plans and updates against their distributions.

The statistical tests have fixed seeds and reject at p = 0.001.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from mppi_zoo.core.noise import draw_pairs, dropout_mask
from mppi_zoo.core.rng import generator_for


def chi_square(counts: np.ndarray, expected: np.ndarray) -> bool:
    """Whether the counts could come from the expected ones (p > 0.001)."""
    statistic = ((counts - expected) ** 2 / expected).sum()
    return bool(chi2.sf(statistic, len(counts) - 1) > 1e-3)


@given(
    shape=st.lists(st.integers(1, 12), min_size=1, max_size=3).map(tuple),
    rate=st.one_of(st.floats(1e-6, 0.99), st.sampled_from([1e-12, 0.01, 0.999])),
    seed=st.integers(0, 1000),
)
def test_dropout_values(shape: tuple[int, ...], rate: float, seed: int) -> None:
    for dtype in (torch.float32, torch.float64):
        mask = dropout_mask(shape, rate, generator_for(seed, "dropout"), dtype)
        assert mask.shape == shape and mask.dtype == dtype
        kept = torch.tensor(1 / (1 - rate), dtype=dtype)
        assert bool(((mask == 0) | (mask == kept)).all())


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.8])
def test_dropout_patterns_are_independent_draws(rate: float) -> None:
    # all 2^4 patterns of four elements, each with the probability of independent coin tosses
    generator, rounds = generator_for(0, "dropout"), 6000
    seen = Counter(
        tuple((dropout_mask((2, 2), rate, generator, torch.float32) == 0).flatten().tolist())
        for _ in range(rounds)
    )
    patterns = list(itertools.product([False, True], repeat=4))
    zeros = np.array([sum(pattern) for pattern in patterns])
    probability = rate**zeros * (1 - rate) ** (4 - zeros)
    counts = np.array([seen[pattern] for pattern in patterns])
    assert counts.sum() == rounds
    common = rounds * probability >= 5
    counts = np.append(counts[common], counts[~common].sum())
    expected = np.append(probability[common], probability[~common].sum()) * rounds
    usable = expected > 0
    assert chi_square(counts[usable], expected[usable])


def test_dropout_rate_and_gaps() -> None:
    rate, size = 0.01, 2_000_000
    mask = dropout_mask((size,), rate, generator_for(1, "dropout"), torch.float32)
    zeros = torch.where(mask == 0)[0].numpy()
    assert abs(len(zeros) - size * rate) < 3.3 * math.sqrt(size * rate * (1 - rate))
    # a drawn number too few would leave the end of the mask without zeros
    tenths = np.histogram(zeros, bins=10, range=(0, size))[0]
    assert chi_square(tenths, np.full(10, len(zeros) / 10))
    gaps = np.diff(zeros, prepend=-1)
    edges = np.array([1, 11, 26, 51, 101, 201, 301, 501])
    counts = np.array([((gaps >= a) & (gaps < b)).sum() for a, b in itertools.pairwise(edges)])
    counts = np.append(counts, (gaps >= edges[-1]).sum())
    survival = np.append((1 - rate) ** (edges - 1.0), 0.0)
    assert chi_square(counts, len(gaps) * -np.diff(survival))
    assert float(mask.mean()) == pytest.approx(1, abs=1e-3)


@given(count=st.integers(1, 20), heads=st.integers(2, 10), seed=st.integers(0, 1000))
def test_pairs_are_two_different_heads(count: int, heads: int, seed: int) -> None:
    pairs = draw_pairs(count, heads, generator_for(seed, "pairs"))
    assert pairs.shape == (count, 2) and pairs.dtype == torch.int64
    assert bool((pairs[:, 0] != pairs[:, 1]).all())
    assert int(pairs.min()) >= 0 and int(pairs.max()) < heads


@pytest.mark.parametrize("heads", [2, 5])
def test_pairs_are_uniform(heads: int) -> None:
    pairs = draw_pairs(20_000, heads, generator_for(0, "pairs")).tolist()
    seen = Counter(map(tuple, pairs))
    every = list(itertools.permutations(range(heads), 2))
    counts = np.array([seen[pair] for pair in every])
    assert chi_square(counts, np.full(len(every), 20_000 / len(every)))
