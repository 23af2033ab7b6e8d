"""What observations pass through before the encoder: nothing, or a running normaliser."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mppi_zoo.core.ranges import Positive
from mppi_zoo.core.registration import register
from mppi_zoo.core.types import ObsSpec


class Normalizer(nn.Module):
    """As it is, observations pass unchanged: every member's."""

    def observe(self, obs: Tensor) -> None:
        """Take note of observations [N, O] of the training."""

    def forward(self, obs: Tensor) -> Tensor:
        """Observations [..., O] -> [..., O]."""
        return obs


NormalizerFactory = Callable[[ObsSpec], Normalizer]


@register
class ObsNormalizer(Normalizer):
    """Subtracts the mean of all observations so far and divides by their std, number by number.

    For observations whose units differ by orders of magnitude. Mean and std are those of the
    observations that the training acted on, each counted once (Chan, Golub and LeVeque, 1979); they
    are saved with the agent and belong to its exported programs. Updates, re-analysis and stored
    observations all use the newest.

    Args:
        obs: of the environment.
        limit: the result is clipped to [-limit, limit].
        smallest_std: a number that varies less is divided by this.
    """

    def __init__(self, obs: ObsSpec, limit: Positive = 10.0, smallest_std: Positive = 1e-4):
        super().__init__()
        self.limit, self.smallest_std = limit, smallest_std
        self.count: Tensor
        self.mean: Tensor
        self.squares: Tensor
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(obs.size, dtype=torch.float64))
        self.register_buffer("squares", torch.zeros(obs.size, dtype=torch.float64))

    @torch.no_grad()
    def observe(self, obs: Tensor) -> None:
        """See :class:`Normalizer`."""
        obs = obs.to(self.mean)
        count = self.count + len(obs)
        mean, shift = obs.mean(0), obs.mean(0) - self.mean
        weight = self.count * len(obs) / count
        self.squares += (obs - mean).square().sum(0) + weight * shift.square()
        self.mean += shift * len(obs) / count
        self.count.copy_(count)

    def forward(self, obs: Tensor) -> Tensor:
        """See :class:`Normalizer`; before the first observation nothing is changed but clipped."""
        seen = self.count > 0
        std = (self.squares / self.count.clamp(min=1)).sqrt().clamp(min=self.smallest_std)
        std = torch.where(seen, std, 1.0)
        normal = (obs.to(self.mean.dtype) - self.mean) / std
        return normal.clamp(-self.limit, self.limit).to(obs.dtype)
