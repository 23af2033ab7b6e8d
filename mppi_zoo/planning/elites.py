"""What a sampling planner makes of its elites: the choice, the report, what it keeps of them.

Sources: docs/method.md, section 4; for kept elites iCEM (arXiv 2008.06389).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mppi_zoo.core.ranges import Probability
from mppi_zoo.core.registration import register
from mppi_zoo.core.types import Gaussian
from mppi_zoo.planning.base import PlanResult


class PlanIteration(NamedTuple):
    """What one iteration saw and decided."""

    actions: Tensor  # [H, B, N, A] the candidates
    value: Tensor  # [B, N] their scores
    elites: Tensor  # [B, K] int64, best first
    weights: Tensor  # [B, K] sum to 1
    mean: Tensor  # [H, B, A] after the iteration
    std: Tensor  # [H, B, A]
    elite_value: Tensor  # [B, K]
    elite_actions: Tensor  # [H, B, K, A]


Choice = Callable[[PlanIteration, Tensor, bool], Tensor]
Report = Callable[[PlanIteration, Tensor], Gaussian]


@register
def draw_by_weight(last: PlanIteration, noise: Tensor, greedy: bool) -> Tensor:
    """One elite by its weight (Gumbel-max), also where greedy: noise [B, K] Exp(1) -> [B, 1]."""
    return (torch.log(last.weights) - torch.log(noise)).argmax(1, keepdim=True)


@register
def best_elite(last: PlanIteration, noise: Tensor, greedy: bool) -> Tensor:
    """The elite of the highest score, [B, 1]."""
    return torch.zeros_like(last.elites[:, :1])


@register
def best_elite_when_greedy(last: PlanIteration, noise: Tensor, greedy: bool) -> Tensor:
    """The best one in evaluation and re-analysis, else one by its weight, [B, 1]."""
    return (best_elite if greedy else draw_by_weight)(last, noise, greedy)


@register
def picked_with_final_std(last: PlanIteration, picked: Tensor) -> Gaussian:
    """The picked elite's first action [B, A], and the sampling distribution's std."""
    return Gaussian(picked, last.std[0])


@register
def best_with_spread(last: PlanIteration, picked: Tensor) -> Gaussian:
    """The best elite's first action, and the elites' weighted spread about it.

    sigma = sqrt(sum_k w_k (a_k - mu)^2 + 1e-6), not clipped: what the programs of PO-MPC's author
    store, whichever elite is executed.
    """
    first, weights = last.elite_actions[0], last.weights.unsqueeze(-1)
    best = first[:, 0]
    variance = (weights * (first - best.unsqueeze(1)).square()).sum(1)
    return Gaussian(best, (variance + 1e-6).sqrt())


@register
class EliteMemory:
    """A share of the elites that joins the next candidates, in place of as many drawn ones.

    Args:
        share: of the K elites, 0 to 1; 0.3 in iCEM.
        across_steps: whether they also join the first candidates of the next step, shifted by a
            step; what the last step lacks is drawn.
    """

    def __init__(self, share: Probability = 0.0, across_steps: bool = True):
        self.share, self.across_steps = share, across_steps

    def count(self, elites: int) -> int:
        """How many of K elites are kept."""
        return round(self.share * elites)

    def carried(self, elites: int) -> int:
        """How many of K elites the next step gets."""
        return self.count(elites) * self.across_steps

    def keep(self, last: PlanIteration) -> Tensor | None:
        """The best of the elites, [H, B, k, A]; None where none are kept."""
        count = self.count(last.elites.shape[1])
        return last.elite_actions[:, :, :count] if count else None

    def rows(self, mean: Tensor, last: PlanIteration) -> Tensor:
        """The next warm start [R, B, A]: the plan, then the elites that are carried over."""
        count = self.carried(last.elites.shape[1])
        if not count:
            return mean
        kept = last.elite_actions[:, :, :count].permute(2, 0, 1, 3)
        return torch.cat([mean, kept.flatten(0, 1)])

    def recall(
        self, warm_start: Tensor, elites: int, mean: Tensor, std: Tensor, draws: Tensor
    ) -> Tensor | None:
        """The last step's elites shifted by a step, [H, B, k, A]; None where none are carried over.

        Args:
            warm_start: [R, B, A] that :meth:`rows` made; elites: K.
            mean, std: [H, B, A] from which their last actions are drawn.
            draws: [B, n, A] standard normal, for these.
        """
        count, horizon = self.carried(elites), mean.shape[0]
        if not count:
            return None
        kept = warm_start[horizon:].unflatten(0, (count, horizon)).permute(1, 2, 0, 3)
        last = torch.addcmul(mean[-1].unsqueeze(1), std[-1].unsqueeze(1), draws[:, :count])
        later = torch.cat([kept[1:], last.clamp(-1, 1).unsqueeze(0)])
        return later * _there(kept)


def _there(kept: Tensor) -> Tensor:
    """[1, B, k, 1], whether a kept sequence [H, B, k, A] is one: zeros alone stand for none."""
    return (kept != 0).any(-1, keepdim=True).any(0, keepdim=True)


def with_kept(drawn: Tensor, kept: Tensor) -> Tensor:
    """The kept sequences [H, B, k, A] in place of the last k of the drawn ones [H, B, n, A].

    A kept sequence of zeros alone stands for none: the drawn one stays.
    """
    some = drawn.shape[2] - kept.shape[2]
    return torch.cat([drawn[:, :, :some], torch.where(_there(kept), kept, drawn[:, :, some:])], 2)


def result_of(
    last: PlanIteration,
    noise: tuple[Tensor, Tensor],
    greedy: bool,
    choice: Choice,
    report: Report,
    memory: EliteMemory,
) -> PlanResult:
    """What a plan comes to after an iteration: an elite's first action, the report, what is kept.

    Args:
        noise: [B, K] of the choice, [B, A] of the exploration, which a greedy plan leaves out.
    """
    pick = choice(last, noise[0], greedy)
    actions = last.elite_actions[0]
    first = actions.gather(1, pick.unsqueeze(-1).expand(-1, -1, actions.shape[-1])).squeeze(1)
    dist, value = report(last, first), last.elite_value.gather(1, pick).squeeze(-1)
    action = first if greedy else (first + last.std[0] * noise[1]).clamp(-1, 1)
    return PlanResult(action, dist, value, last.mean, memory.rows(last.mean, last))


def agreement(last: PlanIteration, proposals: int) -> dict[str, Tensor]:
    """What the elites have in common, 0-d each.

    ``elite_agreement`` is 1 - the weighted variance of the elites' first actions,
    ``elite_policy_share`` the weight of the policy's proposals, the first candidates, among them.
    """
    first, weights = last.elite_actions[0], last.weights.unsqueeze(-1)
    mean = (weights * first).sum(1, keepdim=True)
    variance = (weights * (first - mean).square()).sum(1)
    return {
        "elite_agreement": 1 - variance.mean(),
        "elite_policy_share": (last.weights * (last.elites < proposals)).sum(1).mean(),
    }
