"""What action sequences are worth from a latent, to the planner (docs/method.md, section 4).

Pure functions of a :class:`~mppi_zoo.planning.base.PlanningModel`: all sequences of a plan start at
one latent, and the policy's are rolled out once for all iterations.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mppi_zoo.core.rollout import Rollout, discounted_rollout
from mppi_zoo.planning.base import PlanningModel


def rollout_return(model: PlanningModel, z: Tensor, actions: Tensor) -> Rollout:
    """The roll-out of action sequences from one latent: z [B, 1, Z], actions [H, B, n, A]."""
    return discounted_rollout(model.step, z, lambda _, t: actions[t], actions.shape[0])


def rollout_policy(model: PlanningModel, z: Tensor, noise: Tensor) -> tuple[Tensor, Rollout]:
    """The policy's proposals [H, B, P, A] and their roll-out: z [B, 1, Z], noise [H, B, P, A]."""
    actions: list[Tensor] = []

    def act(z: Tensor, t: int) -> Tensor:
        actions.append(model.propose(z, noise[t]))
        return actions[-1]

    rollout = discounted_rollout(model.step, z, act, noise.shape[0])
    return torch.stack(actions), rollout


def score(
    model: PlanningModel,
    z: Tensor,
    actions: Tensor,
    proposed: Rollout,
    noise: Tensor,
    heads: Tensor,
) -> Tensor:
    """G of the proposals and of the drawn candidates (docs/method.md, section 4): [B, N].

    Args:
        z: [B, 1, Z]; actions: drawn candidates [H, B, N-P, A].
        proposed: the proposals' roll-out, the same in every iteration.
        noise: [B, N, A] of the terminal value; heads: [2].
    """
    drawn = rollout_return(model, z, actions)
    last, total, discount = (torch.cat(pair, 1) for pair in zip(proposed, drawn, strict=True))
    return torch.nan_to_num(total + discount * model.value(last, noise, heads), nan=0.0)
