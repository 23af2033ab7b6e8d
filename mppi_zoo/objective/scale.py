"""Running scales of value and divergence (docs/method.md, section 5).

A scale is a number that one batch's loss hands to the next. The loss gets the old ones as
:class:`Statistics` and returns the new ones; the modules here only keep them between updates.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mppi_zoo.core.math import percentile_range
from mppi_zoo.core.ranges import NonNegative, Probability
from mppi_zoo.core.registration import register


class Statistics(NamedTuple):
    """The objective's running scales, 0-d each."""

    value: Tensor  # S_Q
    divergence: Tensor  # S_KL, where the divergence has a scale of its own; else 1


class RunningScale(nn.Module):
    """S <- S + rate (max(p95 - p5, 1) - S), percentiles over a batch; starts at 1."""

    def __init__(self, rate: float = 0.01):
        super().__init__()
        self.rate = rate
        self.value: Tensor
        self.register_buffer("value", torch.ones(()))

    @torch.no_grad()
    def moved(self, scale: Tensor, x: Tensor) -> Tensor:
        """``scale`` 0-d, moved towards the range of x [B]."""
        return scale.lerp(percentile_range(x).clamp(min=1.0), self.rate)


class DivergenceScale(nn.Module):
    """What the divergence is multiplied by.

    Attributes:
        needs_value: whether S_Q must be kept.
    """

    needs_value = False

    def __init__(self) -> None:
        super().__init__()
        self.one: Tensor
        self.register_buffer("one", torch.ones(()), persistent=False)

    @property
    def kept(self) -> Tensor:
        """S_KL as it is kept between updates, 0-d."""
        return self.one

    def factor(self, scales: Statistics) -> Tensor:
        """What D is multiplied by at given scales, 0-d."""
        return torch.ones_like(scales.divergence)

    def forward(self, divergence: Tensor, old: Statistics) -> tuple[Tensor, Tensor]:
        """(raw D [T, B], scales with S_Q of this batch) -> (factor 0-d, new S_KL 0-d)."""
        return self.factor(old), old.divergence


@register
class UnitScale(DivergenceScale):
    """S_KL = 1."""


@register
class OwnScale(DivergenceScale):
    """1/S_KL with a running scale of the divergence's own at t = 0 (BMPC, PO-MPC)."""

    def __init__(self, rate: Probability = 0.01):
        super().__init__()
        self.running = RunningScale(rate)

    @property
    def kept(self) -> Tensor:
        return self.running.value

    def factor(self, scales: Statistics) -> Tensor:
        return 1 / scales.divergence

    def forward(self, divergence: Tensor, old: Statistics) -> tuple[Tensor, Tensor]:
        scale = self.running.moved(old.divergence, divergence[0].detach())
        return self.factor(old._replace(divergence=scale)), scale


@register
class ValueScale(DivergenceScale):
    """1/S_Q (BC-MPC)."""

    needs_value = True

    def factor(self, scales: Statistics) -> Tensor:
        return 1 / scales.value


@register
class GatedValueScale(DivergenceScale):
    """1/S_Q where S_Q > threshold, else 0: the gate of TD-M(PC)^2 and BOOM."""

    needs_value = True

    def __init__(self, threshold: NonNegative = 2.0):
        super().__init__()
        self.threshold = threshold

    def factor(self, scales: Statistics) -> Tensor:
        return torch.where(scales.value > self.threshold, 1 / scales.value, 0.0)
