"""Products by oneDNN: PyTorch's numbers and gradients, on every layout."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from mppi_zoo.compute import linear as module
from mppi_zoo.compute.linear import SMALLEST, ensemble_linear, linear
from mppi_zoo.compute.memory import keep_freed_memory


@pytest.fixture(autouse=True, params=[True, False], ids=["oneDNN", "torch"])
def preferred(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param and not module._AVAILABLE:
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(module, "PREFERRED", request.param)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def same(ours: Tensor, expected: Tensor) -> None:
    assert ours.shape == expected.shape
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("shape", [(96,), (3, 96), (720, 96), (5, 160, 96)])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients(shape: tuple[int, ...], bias: bool) -> None:
    inputs = [normal(*shape), normal(128, 96, seed=1)] + ([normal(128, seed=2)] if bias else [])
    direction = normal(*shape[:-1], 128, seed=3)
    results = []
    for function in (linear, F.linear):
        leaves = [x.clone().requires_grad_() for x in inputs]
        y = function(*leaves)
        results.append([y.detach(), *torch.autograd.grad(y, leaves, direction)])
    for ours, expected in zip(*results, strict=True):
        same(ours, expected)


def test_slices_transposes_and_broadcasts() -> None:
    weight, x = normal(128, 150, seed=1), normal(600, 150)
    assert x.shape[0] * 100 * 128 > SMALLEST
    same(linear(x[:, :100], weight[:, :100]), x[:, :100] @ weight[:, :100].T)
    same(linear(x.T.contiguous().T, weight.T.contiguous().T), x @ weight.T)
    same(linear(x[:1].expand(600, -1), weight), (x[:1] @ weight.T).expand(600, -1))


def test_float64_is_left_alone() -> None:
    x, weight = normal(640, 96).double(), normal(128, 96, seed=1).double()
    assert torch.equal(linear(x, weight), F.linear(x, weight))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ensemble(dtype: torch.dtype) -> None:
    x, weight, bias = normal(2, 300, 96), normal(2, 128, 96, seed=1), normal(2, 128, seed=2)
    x, weight, bias = (t.to(dtype) for t in (x, weight, bias))
    same(ensemble_linear(x, weight, bias), x @ weight.mT + bias.unsqueeze(1))


def test_freed_memory_is_kept_or_not_touched() -> None:
    assert keep_freed_memory() in (True, False)
    assert torch.zeros(2**22).sum() == 0


class Products(TorchDispatchMode):
    """Notes the dtypes in which matrices are multiplied."""

    def __init__(self) -> None:
        super().__init__()
        self.dtypes: set[torch.dtype] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func.overloadpacket.__name__ in ("addmm", "baddbmm"):
            self.dtypes.add(args[0].dtype)
        return func(*args, **(kwargs or {}))


def test_bfloat16_without_its_instructions_rounds_the_same_sums(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, weight, bias = (t.bfloat16() for t in (normal(2, 50, 96), normal(2, 64, 96), normal(2, 64)))
    exact = torch.baddbmm(bias.double().unsqueeze(1), x.double(), weight.double().mT)
    for native in (True, False):
        monkeypatch.setattr(module, "BFLOAT16", native)
        with Products() as products:
            each = torch.stack([linear(*part) for part in zip(x, weight, bias, strict=True)])
            both = ensemble_linear(x, weight, bias)
        assert products.dtypes == {torch.bfloat16 if native else torch.float32}
        for y in (each, both):
            assert y.dtype == torch.bfloat16
            # rounded once, at the end: half of the last of eight bits
            torch.testing.assert_close(y.double(), exact, rtol=2**-8, atol=1e-5)
