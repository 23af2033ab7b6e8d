"""One optimiser step: gradient for named parameters only, joint clipping, Adam."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from mppi_zoo.core.ranges import NonNegative, Positive
from mppi_zoo.core.registration import register


@register
class ClippedAdam:
    """Adam whose gradients are clipped jointly by min(1, max_norm/(norm + 1e-6)).

    ``step`` differentiates with respect to its own parameters alone, so a loss that runs through
    frozen networks (the policy's through the critics) leaves no gradient behind in them.

    Args:
        groups: parameters, or torch parameter groups (dicts with ``params`` and ``lr``).
        lr: learning rate of the groups that name none.
        eps: Adam's epsilon.
        max_norm: clip of the total gradient norm.
    """

    def __init__(
        self,
        groups: Iterable[Any],
        lr: NonNegative = 3e-4,
        eps: NonNegative = 1e-8,
        max_norm: Positive = 20.0,
    ):
        self.adam = torch.optim.Adam(groups, lr=lr, eps=eps, fused=True)
        self.max_norm = max_norm
        self.params: list[Tensor] = [p for g in self.adam.param_groups for p in g["params"]]
        self._let_graphs_record()

    def step(self, loss: Tensor) -> Tensor:
        """Descend ``loss`` once; returns the gradient norm before clipping, 0-d."""
        self.adam.zero_grad()
        loss.backward(inputs=self.params)
        return self._descend()

    def step_along(self, gradients: Iterable[Tensor]) -> Tensor:
        """The same with gradients that are given, one of each parameter."""
        for parameter, gradient in zip(self.params, gradients, strict=True):
            parameter.grad = gradient
        return self._descend()

    def _descend(self) -> Tensor:
        norm = nn.utils.clip_grad_norm_(self.params, self.max_norm)
        self.adam.step()
        return norm

    def state_dict(self) -> dict[str, Any]:
        return self.adam.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.adam.load_state_dict(state)
        self._let_graphs_record()  # whatever kind of device the state is from

    def _let_graphs_record(self) -> None:
        for group in self.adam.param_groups:
            group["capturable"] = group["params"][0].device.type == "cuda"
