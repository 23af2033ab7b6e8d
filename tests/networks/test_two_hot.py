"""Property 10 (docs/method.md, section 7): two-hot regression."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mppi_zoo.agent.parts import default_dtype
from mppi_zoo.core.math import symexp
from mppi_zoo.networks.two_hot import TwoHot

with default_dtype(torch.float64):  # as an agent builds it: the bins at full precision
    TWO_HOT = TwoHot()
TOP = math.expm1(10)  # symexp(10), about 22025
within = st.floats(-TOP, TOP)
anywhere = st.floats(allow_nan=False)


def tensor(values: float | list[float], dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(values, dtype=dtype)


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
