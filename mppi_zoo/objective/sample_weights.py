"""Weights per sample on the divergence (docs/method.md, section 5).

They are called as ``(Q(z, a_pi)/S_Q, Q(z, a)/S_Q) -> weights``, [T, B] each; either value is None
where the class says that it needs none.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch import Tensor

from mppi_zoo.core.ranges import Positive
from mppi_zoo.core.registration import register


class SampleWeights(Protocol):
    """What an objective may weigh its samples with."""

    needs_value: bool
    needs_baseline: bool

    def __call__(self, value: Any, baseline: Any) -> Tensor | float:
        """See the module's docstring."""
        ...


@register
class UnitWeights:
    """1 for every sample: the default."""

    needs_value = False
    needs_baseline = False

    def __call__(self, value: Tensor | None, baseline: Tensor | None) -> float:
        return 1.0


@register
class SoftmaxValueWeights:
    """B * softmax over the batch of sg[Q/S_Q], for each t (BOOM): a mean over B makes it a sum."""

    needs_value = True
    needs_baseline = False

    def __call__(self, value: Tensor, baseline: Tensor | None) -> Tensor:
        return torch.softmax(value.detach(), dim=1) * value.shape[1]


@register
class AdvantageWeights:
    """clip(exp((Q(z, a_pi) - Q(z, a)) / (S_Q temperature)), low, high) (AWAC-MPC).

    The sign is the released program's, the reverse of the usual advantage.
    """

    needs_value = True
    needs_baseline = True

    def __init__(self, temperature: Positive = 0.3333, low: Positive = 0.1, high: Positive = 10.0):
        if low > high:
            raise ValueError(f"AdvantageWeights: expected low {low} <= high {high}")
        self.temperature, self.log_bounds = temperature, (math.log(low), math.log(high))

    def __call__(self, value: Tensor, baseline: Tensor) -> Tensor:
        # clipping before the exponential is the same and cannot overflow
        advantage = (value - baseline).detach() / self.temperature
        return advantage.clamp(*self.log_bounds).exp()
