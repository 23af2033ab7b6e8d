"""The return as a mean over depths and dynamics heads (docs/method.md, section 8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mppi_zoo.core.ranges import PositiveInt
from mppi_zoo.core.registration import register
from mppi_zoo.core.rollout import each_depth
from mppi_zoo.planning.base import PlanningModel
from mppi_zoo.planning.scoring import Act, ScoreNoise, Scoring


class Estimates(NamedTuple):
    """A trace that keeps where each depth and head ends; V = depths * heads, heads fastest."""

    z: Tensor  # [B, n, V, Z] latents
    total: Tensor  # [B, n, V] discounted returns up to there
    discount: Tensor  # [B, n, V] of what comes after


@register
class DepthAverage(Scoring):
    """G = mean over heads m and depths h of sum_{t<h} gamma^t r_t + gamma^h Q(z_h^m, a ~ pi).

    The view of the agent says which heads follow a sequence, and how the estimates are combined:
    their mean, or something else (:func:`~mppi_zoo.agent.views.pessimistic_view`). All estimates
    of a sequence share the critic heads and one draw of the policy's noise, so that they differ by
    model and depth alone. Source: EfficientTDMPC, arXiv 2605.16692; the shared draws are ours.

    Args:
        depths: h; None: 1 .. H. The horizon alone, with one head, gives
            :class:`~mppi_zoo.planning.scoring.TerminalReturn`'s scores.
    """

    def __init__(self, depths: Sequence[PositiveInt] | None = None):
        if depths is not None and (not depths or len(set(depths)) < len(depths)):
            raise ValueError(
                f"DepthAverage.depths = {depths!r}: expected different depths, at least one"
            )
        self.depths = None if depths is None else frozenset(depths)

    def trace(self, model: PlanningModel, z: Tensor, act: Act, steps: int) -> Estimates:
        """See :meth:`Scoring.trace`.

        Raises:
            ValueError: a depth is beyond the horizon.
        """
        depths = frozenset(range(1, steps + 1)) if self.depths is None else self.depths
        if max(depths) > steps:
            raise ValueError(
                f"DepthAverage.depths = {sorted(depths)}: expected depths of at most "
                f"MPPIPlanner.horizon = {steps}"
            )
        latents, totals, discounts = [], [], []
        rollouts = each_depth(model.step, model.start(z), act, max(depths))
        for depth, (last, total, discount) in enumerate(rollouts, 1):
            if depth in depths:
                latents.append(last.reshape(-1, *last.shape[-3:]))
                discounts.append(discount.reshape(-1, *discount.shape[-2:]))
                totals.append(total.expand_as(discount).reshape(discounts[-1].shape))
        return Estimates(*(torch.cat(x).movedim(0, 2) for x in (latents, totals, discounts)))

    def value(self, model: PlanningModel, trace: Estimates, noise: ScoreNoise) -> Tensor:
        """The combined estimates, [B, n]."""
        z, total, discount = (x.movedim(2, 0) for x in trace)
        return model.combine(total + discount * model.value(z, noise.terminal, noise.heads))
