"""What action sequences are worth from a latent, to the planner (docs/method.md, section 4).

A scoring is a part of a planner, without state: it follows sequences through a
:class:`~mppi_zoo.planning.base.PlanningModel` and says what they are worth. All sequences of a plan
start at one latent, and the policy's are followed once for all iterations.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mppi_zoo.core.ranges import NonNegative
from mppi_zoo.core.registration import register
from mppi_zoo.core.rollout import Rollout, discounted_rollout
from mppi_zoo.core.types import Step
from mppi_zoo.planning.base import PlanningModel

Act = Callable[[Tensor, int], Tensor]


class ScoreNoise(NamedTuple):
    """The draws of one scoring."""

    terminal: Tensor  # [B, N, A] standard normal, policy noise of the terminal value
    heads: Tensor  # [2] int64, critic heads of the terminal value
    along: Tensor | None = None  # [B, N, V, A] standard normal, V = Scoring.draws_along


class Scoring(abc.ABC):
    """How a planner scores sequences of actions.

    A scoring works in two steps, so that what is the same in all iterations is computed once:
    :meth:`trace` follows sequences through the model, :meth:`value` says what they are worth with
    the draws of one iteration. A trace is a named tuple of tensors whose first two axes are
    [B, n]: traces of several groups of sequences are joined along the second.
    """

    def draws_along(self, horizon: int) -> int:
        """V, further draws of the policy that a score takes for each sequence."""
        return 0

    @abc.abstractmethod
    def trace(self, model: PlanningModel, z: Tensor, act: Act, steps: int) -> Any:
        """Follow n sequences through the model.

        Args:
            z: [B, 1, Z], where they all start.
            act: (z [B, n, Z], t) -> action [B, n, A] of step t.
        """

    @abc.abstractmethod
    def value(self, model: PlanningModel, trace: Any, noise: ScoreNoise) -> Tensor:
        """What the sequences of a trace are worth, [B, n]."""

    def propose(self, model: PlanningModel, z: Tensor, noise: Tensor) -> tuple[Tensor, Any]:
        """The policy's sequences [H, B, P, A] and their trace: z [B, 1, Z], noise [H, B, P, A]."""
        actions: list[Tensor] = []

        def act(z: Tensor, t: int) -> Tensor:
            actions.append(model.propose(z, noise[t]))
            return actions[-1]

        trace = self.trace(model, z, act, noise.shape[0])
        return torch.stack(actions), trace

    def score(
        self, model: PlanningModel, z: Tensor, actions: Tensor, proposed: Any, noise: ScoreNoise
    ) -> Tensor:
        """Scores of the proposals and of the drawn candidates, [B, N]; NaN counts as 0.

        Args:
            z: [B, 1, Z]; actions: drawn candidates [H, B, N-P, A].
            proposed: the proposals' trace.
        """
        drawn = self.trace(model, z, lambda _, t: actions[t], actions.shape[0])
        both = type(proposed)(*(torch.cat(pair, 1) for pair in zip(proposed, drawn, strict=True)))
        return torch.nan_to_num(self.value(model, both, noise), nan=0.0)


@register
class TerminalReturn(Scoring):
    """The model's rewards over H steps and the critic's value of the last latent."""

    def trace(self, model: PlanningModel, z: Tensor, act: Act, steps: int) -> Rollout:
        """See :meth:`Scoring.trace`."""
        return discounted_rollout(model.step, z, act, steps)

    def value(self, model: PlanningModel, trace: Rollout, noise: ScoreNoise) -> Tensor:
        """G = total + discount * terminal value (docs/method.md, section 4)."""
        last, total, discount = trace
        return total + discount * model.value(last, noise.terminal, noise.heads)


class Visited(NamedTuple):
    """A trace that keeps the latents on the way."""

    z: Tensor  # [B, n, Z] last latent
    total: Tensor  # [B, n] discounted return
    discount: Tensor  # [B, n] of what comes after
    latents: Tensor  # [B, n, H, Z] z_1 .. z_H
    discounts: Tensor  # [B, n, H] of the rewards of the steps to them


Measure = Callable[[Tensor], Tensor]


@register
def spread(values: Tensor) -> Tensor:
    """Std over the critic's heads: values [E, B, N, V] -> [B, N, V]."""
    return values.std(0)


@register
def spread_times_mean(values: Tensor) -> Tensor:
    """TD-MPC2's measure: the std over the heads times the mean over heads and sequences.

    values [E, B, N, V] -> [B, N, V].
    """
    return values.mean((0, 2)).unsqueeze(1) * values.std(0)


@register
class CautiousReturn(Scoring):
    """The return minus the critic's uncertainty about the latents on the way.

    G = sum_t d_t (r_t - c u(z_{t+1})) + d_H (terminal(z_H) - c u(z_H)), d_t the discount of step t.
    u compares all online heads at one action of the policy; z_H is measured twice, with a draw
    each. Source: TD-MPC2's program, branch ``uncertainty-regularization``.

    Args:
        coefficient: c; 0 gives :class:`TerminalReturn`'s scores.
        measure: (values [E, B, N, V]) -> u [B, N, V], :func:`spread_times_mean` or :func:`spread`.
    """

    def __init__(self, coefficient: NonNegative = 0.0, measure: Measure = spread_times_mean):
        self.coefficient, self.measure = coefficient, measure

    def draws_along(self, horizon: int) -> int:
        """One for each latent on the way, and one more for the last."""
        return horizon + 1

    def trace(self, model: PlanningModel, z: Tensor, act: Act, steps: int) -> Visited:
        """See :meth:`Scoring.trace`."""
        seen: list[Step] = []

        def step(z: Tensor, action: Tensor) -> Step:
            seen.append(model.step(z, action))
            return seen[-1]

        last, total, discount = discounted_rollout(step, z, act, steps)
        latents = torch.stack([taken.z.expand_as(last) for taken in seen], 2)
        after = torch.stack([taken.discount.expand_as(total) for taken in seen], 2).cumprod(2)
        before = torch.cat([torch.ones_like(after[..., :1]), after[..., :-1]], 2)
        return Visited(last, total, discount, latents, before)

    def value(self, model: PlanningModel, trace: Visited, noise: ScoreNoise) -> Tensor:
        """See the class."""
        assert noise.along is not None
        value = trace.total + trace.discount * model.value(trace.z, noise.terminal, noise.heads)
        latents = torch.cat([trace.latents, trace.z.unsqueeze(2)], 2)
        discounts = torch.cat([trace.discounts, trace.discount.unsqueeze(2)], 2)
        uncertainty = self.measure(all_values(model, latents, noise.along))
        return value - self.coefficient * (discounts * uncertainty).sum(2)


def all_values(model: PlanningModel, z: Tensor, noise: Tensor) -> Tensor:
    """Every head's value of latents z [..., Z] at the policy's action, [E, ...].

    Raises:
        ValueError: the view of the agent does not offer them.
    """
    if model.values is None:
        raise ValueError(
            "this planner compares all heads of the critic, and the agent's view has no `values`; "
            "expected a view such as mean_view (POMPCAgent.view = @mean_view)"
        )
    return model.values(z, noise)
