"""What a gradient planner states of the first action, from its few sequences.

The paper of Dream-MPC plans and does not store plans; both reports are this project's
(docs/method.md, section 4).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mppi_zoo.core.ranges import Positive
from mppi_zoo.core.registration import register
from mppi_zoo.core.types import Gaussian

# (first actions [B, n, A], the best one's [B, A], the policy's Gaussian [B, A]) -> what is reported
Report = Callable[[Tensor, Tensor, Gaussian], Gaussian]


def spread_about(first: Tensor, best: Tensor) -> Tensor:
    """Root mean square distance of first actions [B, n, A] from the best one: [B, A]."""
    return (first - best.unsqueeze(1)).square().mean(1).sqrt()


@register
def at_least_the_policys_std(first: Tensor, best: Tensor, policy: Gaussian) -> Gaussian:
    """N(best, max(the policy's std, the spread of the first actions about it))."""
    return Gaussian(best, torch.maximum(policy.std, spread_about(first, best)))


@register
class SpreadAboutBest:
    """N(best, the spread of the first actions about it), clipped; it may be below the policy's std.

    A policy that imitates what it is told can then become narrower.

    Args:
        share: of the spread; below 1 the reported std contracts, as n draws of one policy lie
            about sqrt(2) of its std from one of them.
        min_std, max_std: bounds.
    """

    def __init__(self, share: Positive = 0.5, min_std: Positive = 0.05, max_std: Positive = 2.0):
        if min_std > max_std:
            raise ValueError(
                f"SpreadAboutBest.min_std = {min_std}: expected at most max_std = {max_std}"
            )
        self.share, self.min_std, self.max_std = share, min_std, max_std

    def __call__(self, first: Tensor, best: Tensor, policy: Gaussian) -> Gaussian:
        std = (self.share * spread_about(first, best)).clamp(self.min_std, self.max_std)
        return Gaussian(best, std)
