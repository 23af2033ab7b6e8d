"""The discounted roll-out through a model that planners score and model-based values build on."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from mppi_zoo.core.types import Step


class Rollout(NamedTuple):
    """Where some model steps lead and what they earn."""

    z: Tensor  # [..., Z] last latent
    total: Tensor  # [...] discounted return
    discount: Tensor  # [...] of what comes after: product of the steps' discounts


def discounted_rollout(
    step: Callable[[Tensor, Tensor], Step],
    z: Tensor,
    act: Callable[[Tensor, int], Tensor],
    steps: int,
) -> Rollout:
    """Follow a model from z [..., Z] or [..., 1, Z] (all actions then start at one latent).

    Args:
        step: (z, action [..., A]) -> :class:`~mppi_zoo.core.types.Step`.
        act: (z, t) -> action of step t.
        steps: at least 1.
    """
    action = act(z, 0)
    z, total, discount = step(z, action)
    z = z.expand(*action.shape[:-1], -1)  # a step's latent may not depend on the action
    for t in range(1, steps):
        z, reward, step_discount = step(z, act(z, t))
        total = total + discount * reward
        discount = discount * step_discount
    return Rollout(z, total, discount)
