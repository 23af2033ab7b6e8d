"""Compiled functions: what they check before a call, and what they leave unchecked."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters

from mppi_zoo.compute.compilation import compiled

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def traced(monkeypatch: pytest.MonkeyPatch) -> None:
    # which code a call runs is decided by torch's tracing, before any backend
    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))


def graphs() -> int:
    return counters["stats"]["unique_graphs"]


def call(network: nn.Module, x: Tensor) -> Tensor:
    return network(x)


def test_values_are_read_anew_and_nothing_compiles_for_them() -> None:
    network, x = nn.Sequential(nn.Linear(3, 3), nn.Tanh()), torch.randn(2, 3)
    function, known = compiled(call, CPU), graphs()
    function(network, x)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)
    assert torch.equal(function(network, x), network(x))
    assert graphs() == known + 1


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


def test_another_shape_or_dtype_is_compiled_anew() -> None:
    network, x = Scaled(), torch.randn(2, 3)
    function, known = compiled(call, CPU), graphs()
    function(network, x)
    assert function(network, torch.randn(5, 3)).shape == (5, 3)
    network.double()  # as a planner's view of other precision: only the weights differ
    assert function(network, x).dtype == torch.float64
    assert graphs() == known + 3


def test_each_function_runs_its_own_network() -> None:
    # as two agents of the same sizes in one process
    first, second = (nn.Sequential(nn.Linear(3, 3), last) for last in (nn.Tanh(), nn.ReLU()))
    second.load_state_dict(first.state_dict())
    x = torch.randn(2, 3)
    ours, theirs = compiled(call, CPU), compiled(call, CPU)
    assert torch.equal(ours(first, x), first(x))
    assert torch.equal(theirs(second, x), second(x))


def test_hooks_and_types_of_layers_are_not_checked() -> None:
    network, x = nn.Sequential(nn.Linear(3, 3), nn.Tanh()), torch.randn(2, 3)
    function = compiled(call, CPU)
    function(network, x)
    known = graphs()
    network[0].register_forward_hook(lambda *_: None)
    function(network, x)
    assert graphs() == known
