"""The discounted roll-out through a model that planners score and model-based values build on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from mppi_zoo.core.types import Step


class Rollout(NamedTuple):
    """Where some model steps lead and what they earn."""

    z: Tensor  # [..., Z] last latent
    total: Tensor  # [...] discounted return
    discount: Tensor  # [...] of what comes after: product of the steps' discounts


def each_depth(
    step: Callable[[Tensor, Tensor], Step],
    z: Tensor,
    act: Callable[[Tensor, int], Tensor],
    steps: int,
) -> Iterator[Rollout]:
    """The roll-outs of 1, 2, ... ``steps`` steps, each a continuation of the one before.

    The arguments are those of :func:`discounted_rollout`.
    """
    action = act(z, 0)
    z, total, discount = step(z, action)
    # a step's latent may not depend on the action
    z = z.expand(*torch.broadcast_shapes(z.shape[:-1], action.shape[:-1]), -1)
    yield Rollout(z, total, discount)
    for t in range(1, steps):
        z, reward, step_discount = step(z, act(z, t))
        total = total + discount * reward
        discount = discount * step_discount
        yield Rollout(z, total, discount)


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
    *_, last = each_depth(step, z, act, steps)
    return last
