"""Where a sampling planner's distribution starts, before the first candidates are drawn."""

from __future__ import annotations

import abc

import torch
from torch import Tensor

from mppi_zoo.core.ranges import Count, Positive, PositiveInt
from mppi_zoo.core.registration import register


class Start(abc.ABC):
    """The sampling distribution's first mean and std.

    Attributes:
        proposals: of the policy's sequences, as many as it needs at least.
        reads_step: whether it depends on the agent step.
    """

    proposals: int = 0
    reads_step: bool = False

    @abc.abstractmethod
    def __call__(
        self,
        previous: Tensor,
        proposals: Tensor,
        bounds: tuple[float, float],
        step: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Mean and std, [H, B, A] each.

        Args:
            previous: [H, B, A] the last plan; zeros at the first step of an episode.
            proposals: [H, B, P, A] the policy's sequences.
            bounds: of the std.
            step: 0-d, agent steps taken so far; None where no training is under way.
        """


@register
class ShiftedPlan(Start):
    """The last plan, shifted by a step and 0 at the end, with the largest std: TD-MPC2's rule.

    Args:
        std: where the std starts, within the planner's bounds; None: at the largest.
    """

    def __init__(self, std: Positive | None = None):
        self.std = std

    def __call__(
        self,
        previous: Tensor,
        proposals: Tensor,
        bounds: tuple[float, float],
        step: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """See :class:`Start`."""
        mean = torch.zeros_like(previous)
        mean[:-1] = previous[1:]
        low, high = bounds
        std = high if self.std is None else min(max(self.std, low), high)
        return mean, torch.full_like(mean, std)


@register
class PolicyMoments(ShiftedPlan):
    """Between the policy's own moments over its proposals and :class:`ShiftedPlan`.

    mean = w mu_pi + (1 - w) mean, and std likewise with the policy's std within the bounds; w = 1
    until agent step ``start``, then falls to 0 over ``decay`` steps. Without a step (re-analysis, a
    controller) w = 0. Source: Newt (arXiv 2511.19584) and its program.

    Args:
        start: agent steps with the policy's moments alone.
        decay: agent steps, at least 1, over which they fade.
    """

    proposals = 2  # a std needs two
    reads_step = True

    def __init__(self, start: Count, decay: PositiveInt):
        super().__init__()
        self.start, self.decay = start, decay

    def __call__(
        self,
        previous: Tensor,
        proposals: Tensor,
        bounds: tuple[float, float],
        step: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """See :class:`Start`."""
        mean, std = super().__call__(previous, proposals, bounds, step)
        if step is None:
            return mean, std
        share = (1 - (step - self.start) / self.decay).clamp(0, 1).to(mean.dtype)
        own_mean, own_std = proposals.mean(2), proposals.std(2).clamp(*bounds)
        return share * own_mean + (1 - share) * mean, share * own_std + (1 - share) * std
