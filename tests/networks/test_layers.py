"""Spec section 7, property 10: two-hot regression, with the other exact parts beneath the networks.

Activations against PyTorch's own, and the random draws of :mod:`mppi_zoo.core.noise` against their
distributions. The statistical tests have fixed seeds and reject at p = 0.001.
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
from scipy.stats import chi2, kstest
from torch import Tensor
from torch.nn import functional as F

from mppi_zoo.agent.parts import default_dtype
from mppi_zoo.compute.activations import group_softmax, mish
from mppi_zoo.core.math import symexp, symlog
from mppi_zoo.core.noise import draw_pairs, dropout_mask
from mppi_zoo.core.rng import generator_for, numpy_generator_for
from mppi_zoo.networks.layers import TwoHot

with default_dtype(torch.float64):  # as an agent builds it: the bins at full precision
    TWO_HOT = TwoHot()
TOP = math.expm1(10)  # symexp(10), about 22025
within = st.floats(-TOP, TOP)
anywhere = st.floats(allow_nan=False)


def tensor(values: float | list[float], dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(values, dtype=dtype)


def chi_square(counts: np.ndarray, expected: np.ndarray) -> bool:
    """Whether the counts could come from the expected ones (p > 0.001)."""
    statistic = ((counts - expected) ** 2 / expected).sum()
    return bool(chi2.sf(statistic, len(counts) - 1) > 1e-3)


# --- two-hot -------------------------------------------------------------------------------------


@given(x=st.lists(within, min_size=1, max_size=10))
def test_decoding_inverts_encoding(x: list[float]) -> None:
    values = tensor(x)
    code = TWO_HOT.encode(values)
    assert torch.allclose(TWO_HOT.decode(code.clamp(min=0).log()), values, rtol=1e-9, atol=1e-9)


@given(x=st.lists(st.floats(-2e4, 2e4, width=32), min_size=1, max_size=10))
def test_decoding_inverts_encoding_in_single_precision(x: list[float]) -> None:
    values, two_hot = tensor(x, torch.float32), TwoHot()
    code = two_hot.encode(values)
    assert torch.allclose(code.sum(-1), torch.ones(len(x)), atol=1e-6)
    assert torch.allclose(two_hot.decode(code.clamp(min=0).log()), values, rtol=1e-4, atol=1e-5)


@given(x=st.lists(anywhere, min_size=1, max_size=10))
def test_codes_are_distributions_over_two_neighbours(x: list[float]) -> None:
    code = TWO_HOT.encode(tensor(x))
    assert code.shape == (len(x), 101)
    assert torch.allclose(code.sum(-1), torch.ones(len(x), dtype=torch.float64), atol=1e-12)
    assert float(code.min()) >= -1e-12
    for row in code:
        (used,) = torch.where(row > 1e-9)
        assert len(used) <= 2 and int(used[-1] - used[0]) <= 1


@given(x=st.lists(anywhere, min_size=2, max_size=10))
def test_values_beyond_the_bins_are_clamped(x: list[float]) -> None:
    values = tensor(x)
    assert torch.allclose(
        TWO_HOT.encode(values), TWO_HOT.encode(values.clamp(-TOP, TOP)), atol=1e-9
    )
    decoded = TWO_HOT.decode(TWO_HOT.encode(values.sort().values).clamp(min=0).log())
    assert bool((decoded.diff() >= -1e-6).all())  # monotone


def test_bins_decode_to_themselves() -> None:
    bins = torch.linspace(-10, 10, 101, dtype=torch.float64)
    assert torch.allclose(TWO_HOT.encode(symexp(bins)), torch.eye(101).double(), atol=1e-9)
    assert torch.allclose(TWO_HOT.decode(100 * torch.eye(101).double()), symexp(bins))
    ends = TWO_HOT.encode(tensor([-math.inf, math.inf]))
    assert [int(row.argmax()) for row in ends] == [0, 100]


@given(x=st.lists(within, min_size=1, max_size=6), seed=st.integers(0, 1000))
def test_cross_entropy_is_that_of_the_code(x: list[float], seed: int) -> None:
    values = tensor(x)
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, len(x), 101, generator=generator, dtype=torch.float64)
    logits.requires_grad_()
    loss = TWO_HOT.cross_entropy(logits, values)
    code = TWO_HOT.encode(values).expand(2, -1, -1)
    assert torch.allclose(loss, -(code * logits.log_softmax(-1)).sum(-1))
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert torch.allclose(gradient, torch.softmax(logits, -1) - code, atol=1e-12)


@given(x=st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=10))
def test_symexp_inverts_symlog(x: list[float]) -> None:
    values = tensor(x)
    logs = symlog(values)
    assert torch.allclose(symexp(logs), values, rtol=1e-12)
    assert torch.equal(symlog(-values), -logs)
    assert np.allclose(logs.abs().numpy(), [math.log1p(abs(v)) for v in x], rtol=1e-12)


# --- activations ---------------------------------------------------------------------------------

DTYPES = [torch.float32, torch.float64]


def every_magnitude(dtype: torch.dtype, top: float) -> Tensor:
    """Both signs, from the smallest subnormal to ``top``, dense where Mish bends."""
    smallest = math.log10(torch.finfo(dtype).smallest_normal) - 5
    exponents = torch.linspace(smallest, math.log10(top), 2000, dtype=torch.float64)
    magnitudes = torch.cat([torch.tensor([0.0]), torch.linspace(0, 120, 3001), 10**exponents])
    return torch.cat([magnitudes, -magnitudes]).to(dtype)


def close(ours: Tensor, expected: Tensor, slack: float = 8.0, floor: float = 8.0) -> None:
    info = torch.finfo(ours.dtype)
    assert ours.dtype == expected.dtype
    assert bool((ours.isfinite() == expected.isfinite()).all())
    # subnormals carry fewer digits
    torch.testing.assert_close(
        ours, expected, rtol=slack * info.eps, atol=floor * info.smallest_normal
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_mish_over_all_floats(dtype: torch.dtype) -> None:
    x = every_magnitude(dtype, torch.finfo(dtype).max / 2)
    kept = x.clone()
    # where sigmoid(x) is subnormal, which some kernels flush to zero, mish(x) is x times that
    close(mish(x), F.mish(x), floor=1000.0)
    close(mish(x.clone().requires_grad_()).detach(), F.mish(x), floor=1000.0)
    assert torch.equal(x, kept)
    special = torch.tensor([math.inf, math.nan], dtype=dtype)
    assert torch.equal(mish(special)[0], special[0]) and bool(mish(special)[1].isnan())


def mish_gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.clone().requires_grad_()
    direction = torch.linspace(-2, 2, len(x), dtype=x.dtype)
    (ours,) = torch.autograd.grad(mish(x), x, direction)
    (expected,) = torch.autograd.grad(F.mish(x.double()), x, direction.double())
    return ours, expected.to(x.dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_mish_gradient(dtype: torch.dtype) -> None:
    ours, expected = mish_gradients(every_magnitude(dtype, 100.0))
    # near its minimum at -1.19 the slope is a difference of larger terms
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(ours, expected, rtol=16 * eps, atol=16 * eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_mish_gradient_over_all_floats(dtype: torch.dtype) -> None:
    ours, expected = mish_gradients(every_magnitude(dtype, torch.finfo(dtype).max / 2))
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(ours, expected, rtol=16 * eps, atol=16 * eps)


def test_mish_gradcheck() -> None:
    x = torch.linspace(-30, 30, 61, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(mish, (x,))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1e30])
@pytest.mark.parametrize("group", [1, 2, 8])
def test_group_softmax(dtype: torch.dtype, scale: float, group: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = scale * torch.randn(5, 3, 24, generator=generator, dtype=dtype)
    kept, direction = x.clone(), torch.randn(5, 3, 24, generator=generator, dtype=dtype)
    values, gradients = [], []
    for function in (
        lambda x: group_softmax(x, group),
        lambda x: torch.softmax(x.unflatten(-1, (-1, group)), -1).flatten(-2),
    ):
        leaf = x.clone().requires_grad_()
        values += [function(x), function(leaf).detach()]
        gradients += torch.autograd.grad(function(leaf), leaf, direction)
    eps = torch.finfo(dtype).eps
    for value in values:
        torch.testing.assert_close(value, values[-1], rtol=16 * eps, atol=eps)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=64 * eps, atol=8 * eps)
    assert torch.allclose(values[0].unflatten(-1, (-1, group)).sum(-1), torch.ones((), dtype=dtype))
    assert torch.equal(x, kept)


def test_group_softmax_gradcheck() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 16, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: group_softmax(x, 8), (x,))


# --- draws ---------------------------------------------------------------------------------------


@given(
    shape=st.lists(st.integers(1, 12), min_size=1, max_size=3).map(tuple),
    rate=st.one_of(st.floats(1e-6, 0.99), st.sampled_from([1e-12, 0.01, 0.999])),
    seed=st.integers(0, 1000),
)
def test_dropout_values(shape: tuple[int, ...], rate: float, seed: int) -> None:
    for dtype in DTYPES:
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


PURPOSES = ("update", "plan", "reanalysis", "replay", "evaluation")


def test_generators_are_their_purposes_own() -> None:
    streams = {
        (seed, purpose): torch.rand(500, generator=generator_for(seed, purpose)).numpy()
        for seed in range(20)
        for purpose in PURPOSES
    }
    first = {round(float(stream[0]), 6) for stream in streams.values()}
    assert len(first) > 0.97 * len(streams)
    pooled = np.concatenate(list(streams.values()))
    assert kstest(pooled, "uniform").pvalue > 1e-3
    matrix = np.corrcoef(np.stack(list(streams.values())))
    off_diagonal = matrix[np.triu_indices(len(matrix), 1)]
    # 4950 correlations of 500 pairs each have a deviation of 0.045; no two streams are related
    assert abs(off_diagonal).max() < 0.25
    assert off_diagonal.std() == pytest.approx(1 / math.sqrt(500), rel=0.1)


def test_drawing_for_one_purpose_shifts_no_other() -> None:
    for make in (generator_for, numpy_generator_for):
        alone, beside, other = make(3, "plan"), make(3, "plan"), make(3, "update")

        def draw(generator: torch.Generator | np.random.Generator) -> list[float]:
            if isinstance(generator, torch.Generator):
                return torch.rand(5, generator=generator).tolist()
            return generator.random(5).tolist()

        untouched = [draw(alone) for _ in range(3)]
        interleaved = []
        for _ in range(3):
            interleaved.append(draw(beside))
            assert draw(other) not in untouched
        assert interleaved == untouched
        assert draw(make(4, "plan")) != untouched[0]
