"""Running scales of value and divergence (spec section 5)."""

from __future__ import annotations

import gin
import torch
from torch import Tensor, nn

from mppi_zoo.core.math import percentile_range


class RunningScale(nn.Module):
    """S <- S + rate (max(p95 - p5, 1) - S), percentiles over a batch; starts at 1."""

    def __init__(self, rate: float = 0.01):
        super().__init__()
        self.rate = rate
        self.value: Tensor
        self.register_buffer("value", torch.ones(()))

    @torch.no_grad()
    def update(self, x: Tensor) -> None:
        """Move towards the range of x [B]."""
        self.value.lerp_(percentile_range(x).clamp(min=1.0), self.rate)


class DivergenceScale(nn.Module):
    """What the divergence is multiplied by; ``needs_value`` says whether S_Q must be kept."""

    needs_value = False

    def forward(self, divergence: Tensor, value_scale: Tensor) -> Tensor:
        """(raw D [T, B], S_Q 0-d) -> factor, 0-d."""
        del value_scale
        return torch.ones_like(divergence[0, 0])


@gin.register
class UnitScale(DivergenceScale):
    """S_KL = 1."""


@gin.register
class OwnScale(DivergenceScale):
    """1/S_KL with a running scale of the divergence's own at t = 0 (BMPC, PO-MPC)."""

    def __init__(self, rate: float = 0.01):
        super().__init__()
        self.running = RunningScale(rate)

    def forward(self, divergence: Tensor, value_scale: Tensor) -> Tensor:
        self.running.update(divergence[0].detach())
        return 1 / self.running.value


@gin.register
class ValueScale(DivergenceScale):
    """1/S_Q (BC-MPC)."""

    needs_value = True

    def forward(self, divergence: Tensor, value_scale: Tensor) -> Tensor:
        return 1 / value_scale


@gin.register
class GatedValueScale(DivergenceScale):
    """1/S_Q where S_Q > threshold, else 0: the gate of TD-M(PC)^2 and BOOM."""

    needs_value = True

    def __init__(self, threshold: float = 2.0):
        super().__init__()
        self.threshold = threshold

    def forward(self, divergence: Tensor, value_scale: Tensor) -> Tensor:
        return torch.where(value_scale > self.threshold, 1 / value_scale, 0.0)
