"""Weights per sample on the divergence (docs/method.md, section 5).

They are called as ``(Q(z, a_pi)/S_Q, Q(z, a)/S_Q, batch) -> weights``, [T, B] each; either value is
None where the class says that it needs none.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch import Tensor

from mppi_zoo.core.ranges import Positive
from mppi_zoo.core.registration import register
from mppi_zoo.core.types import Batch


class SampleWeights(Protocol):
    """What an objective may weigh its samples with."""

    needs_value: bool
    needs_baseline: bool
    needs_return: bool  # whether ``batch.episode_return`` must be there

    def __call__(self, value: Any, baseline: Any, batch: Batch) -> Tensor | float:
        """See the module's docstring."""
        ...


@register
class UnitWeights:
    """1 for every sample: the default."""

    needs_value = False
    needs_baseline = False
    needs_return = False

    def __call__(self, value: Tensor | None, baseline: Tensor | None, batch: Batch) -> float:
        return 1.0


@register
class SoftmaxValueWeights:
    """B * softmax over the batch of sg[Q/S_Q], for each t (BOOM): a mean over B makes it a sum."""

    needs_value = True
    needs_baseline = False
    needs_return = False

    def __call__(self, value: Tensor, baseline: Tensor | None, batch: Batch) -> Tensor:
        return torch.softmax(value.detach(), dim=1) * value.shape[1]


@register
class AdvantageWeights:
    """clip(exp((Q(z, a_pi) - Q(z, a)) / (S_Q temperature)), low, high) (AWAC-MPC).

    The sign is the released program's, the reverse of the usual advantage.
    """

    needs_value = True
    needs_baseline = True
    needs_return = False

    def __init__(self, temperature: Positive = 0.3333, low: Positive = 0.1, high: Positive = 10.0):
        if low > high:
            raise ValueError(f"AdvantageWeights: expected low {low} <= high {high}")
        self.temperature, self.log_bounds = temperature, (math.log(low), math.log(high))

    def __call__(self, value: Tensor, baseline: Tensor, batch: Batch) -> Tensor:
        # clipping before the exponential is the same and cannot overflow
        advantage = (value - baseline).detach() / self.temperature
        return advantage.clamp(*self.log_bounds).exp()


@register
class ReturnWeights:
    """clip((R - low)/(high - low), 0, 1) with R the return of the sample's episode.

    Imitation of the better trajectories, in the spirit of TDMPBC (arXiv 2502.17322), whose formula
    was not at hand. An episode under way counts with its return so far; equal returns all weigh 1.

    Args:
        low: return that weighs 0; None: the lowest of the batch.
        high: return that weighs 1, such as the task's goal; None: the highest of the batch.

    Raises:
        ValueError: low is not below high.
    """

    needs_value = False
    needs_baseline = False
    needs_return = True

    def __init__(self, low: float | None = None, high: float | None = None):
        if low is not None and high is not None and low >= high:
            raise ValueError(f"ReturnWeights: low {low} must be below high {high}")
        self.low, self.high = low, high

    def __call__(self, value: Tensor | None, baseline: Tensor | None, batch: Batch) -> Tensor:
        earned = batch.episode_return
        if earned is None:
            raise ValueError(
                "ReturnWeights reads Batch.episode_return, which is None; make the replay with "
                "Replay(..., episode_returns=True)"
            )
        low = earned.amin() if self.low is None else torch.full_like(earned[0], self.low)
        high = earned.amax() if self.high is None else torch.full_like(earned[0], self.high)
        share = torch.where(high > low, (earned - low) / (high - low), 1.0).clamp(0, 1)
        return share.expand(batch.action.shape[:2])
