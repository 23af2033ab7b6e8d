"""What action sequences are worth from a latent, to the planner (spec section 4).

Pure functions of a :class:`~mppi_zoo.core.types.PlanningModel`: all sequences of a plan start at
one latent, and the policy's are rolled out once for all iterations.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mppi_zoo.core.types import PlanningModel


def rollout_return(
    model: PlanningModel, z: Tensor, actions: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Discounted return of action sequences from one latent: z [B, 1, Z], actions [H, B, n, A].

    Returns:
        (last latent [B, n, Z], return [B, n], remaining discount [B, n]).
    """
    z, total, discount = model.step(z, actions[0])
    z = z.expand(*actions.shape[1:-1], -1)  # a model need not mind that they all started at one
    for action in actions[1:].unbind(0):
        z, reward, step_discount = model.step(z, action)
        total = total + discount * reward
        discount = discount * step_discount
    return z, total, discount


def rollout_policy(
    model: PlanningModel, z: Tensor, noise: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """The policy's proposals and their :func:`rollout_return`: z [B, 1, Z], noise [H, B, P, A]."""
    actions = [model.propose(z, noise[0])]
    z, total, discount = model.step(z, actions[0])
    z = z.expand(*noise.shape[1:-1], -1)
    for epsilon in noise[1:].unbind(0):
        actions.append(model.propose(z, epsilon))
        z, reward, step_discount = model.step(z, actions[-1])
        total = total + discount * reward
        discount = discount * step_discount
    return torch.stack(actions), (z, total, discount)


def score(
    model: PlanningModel,
    z: Tensor,
    actions: Tensor,
    proposed: tuple[Tensor, Tensor, Tensor],
    noise: Tensor,
    heads: Tensor,
) -> Tensor:
    """G of the proposals and of the drawn candidates (spec section 4): [B, N].

    Args:
        z: [B, 1, Z]; actions: drawn candidates [H, B, N-P, A].
        proposed: :func:`rollout_return` of the proposals, the same in every iteration.
        noise: [B, N, A] of the terminal value; heads: [2].
    """
    drawn = rollout_return(model, z, actions)
    last, total, discount = (torch.cat(pair, 1) for pair in zip(proposed, drawn, strict=True))
    return torch.nan_to_num(total + discount * model.value(last, noise, heads), nan=0.0)
