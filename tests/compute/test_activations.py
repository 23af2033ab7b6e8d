"""Mish and grouped softmax against PyTorch's own, over all floats."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mppi_zoo.compute import activations
from mppi_zoo.compute.activations import group_softmax, mish

DTYPES = [torch.float32, torch.float64]


@pytest.fixture(params=["eager", "compiled"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mish as eager code computes it, and as it is handed to the compiler."""
    if request.param == "compiled":
        monkeypatch.setattr(activations, "_fused", lambda: True)


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


@pytest.mark.usefixtures("form")
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


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("dtype", DTYPES)
def test_mish_gradient(dtype: torch.dtype) -> None:
    ours, expected = mish_gradients(every_magnitude(dtype, 100.0))
    # near its minimum at -1.19 the slope is a difference of larger terms
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(ours, expected, rtol=16 * eps, atol=16 * eps)


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("dtype", DTYPES)
def test_mish_gradient_over_all_floats(dtype: torch.dtype) -> None:
    ours, expected = mish_gradients(every_magnitude(dtype, torch.finfo(dtype).max / 2))
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(ours, expected, rtol=16 * eps, atol=16 * eps)


@pytest.mark.usefixtures("form")
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
