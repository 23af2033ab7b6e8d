"""Soft value: the divergence from the prior in the critic's target (docs/method.md, section 8.1).

The members' policies pay for leaving their prior at the states of an update alone. A soft value
makes the critic count what the policy will pay at all later states too: the KL-regularised action
value of PO-MPC (Serra-Gomez et al., arXiv 2510.04280, as its public reviews restate equations 2
and 3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mppi_zoo.core.registration import register
from mppi_zoo.core.types import Batch
from mppi_zoo.networks.critic import StateCost, free
from mppi_zoo.networks.policy import Policy
from mppi_zoo.objective.kl_objective import KLObjective
from mppi_zoo.objective.kl_weight import LamWeights
from mppi_zoo.objective.prior import Prior


class Soft(NamedTuple):
    """What a critic's target subtracts at a state, and what the log says of it."""

    cost: StateCost
    metrics: dict[str, Tensor]  # 0-d each


@register
class HardValue:
    """The critic's target is made of rewards alone: every member that names no soft value."""

    def check(self, prior: Prior, objective: KLObjective, target_steps: int) -> None:
        """See :meth:`SoftValue.check`; fits everything."""

    def cost(
        self,
        policy: Policy,
        prior: Prior,
        objective: KLObjective,
        batch: Batch,
        lam_weights: LamWeights,
    ) -> Soft:
        """See :meth:`SoftValue.cost`."""
        return Soft(free, {})


CostWeight = Callable[[Tensor, KLObjective], Tensor]


@register
def scaled_weight(lam: Tensor, objective: KLObjective) -> Tensor:
    """kappa = lam S_Q/S_KL with the scales as they are kept: the critic maximises J times S_Q."""
    scales = objective.statistics()
    return lam * scales.value * objective.kl_scale.factor(scales)


@register
def plain_weight(lam: Tensor, objective: KLObjective) -> Tensor:
    """kappa = lam: the divergence's weight in units of the reward, whatever the scales."""
    return lam


@register
class SoftValue:
    """The critic's target subtracts kappa D(pi || P_prior) at each state that it evaluates.

    D is the objective's own divergence, without a scale or sample weights. Where P_prior is not
    known (a stored plan that is missing), D counts as 0.

    Args:
        weight: (lambda, objective) -> kappa, 0-d; :func:`plain_weight`, or :func:`scaled_weight`,
            with which no member has learned so far (docs/choosing_settings.md).
    """

    def __init__(self, weight: CostWeight = plain_weight):
        self.weight = weight

    def check(self, prior: Prior, objective: KLObjective, target_steps: int) -> None:
        """Refuse what has no soft value.

        Raises:
            ValueError: lambda is infinite, the divergence reads the stored step, or the prior is
                unknown where the critic's target needs it.
        """
        if not objective.lam.uses_return:
            raise ValueError(
                "SoftValue with lambda = infinity: an infinite cost has no value; use a finite "
                "KLObjective.lam, or ModelLoss.soft_value = None"
            )
        divergence = objective.divergence
        if getattr(divergence, "reads_step", False):
            raise ValueError(
                f"SoftValue with the divergence {type(divergence).__name__}, which reads the step "
                "that was taken and so says nothing of the next state; use another divergence, "
                "such as @AnalyticKL(), or ModelLoss.soft_value = None"
            )
        if not prior.of_latent and type(prior).at is Prior.at:
            raise ValueError(
                f"SoftValue with the prior {type(prior).__name__}, which does not say what it is "
                "at the next latents; set of_latent = True if it is a function of the latent "
                "alone, or define at()"
            )
        if not prior.of_latent and target_steps > 1:
            raise ValueError(
                f"SoftValue with VCritic.target_steps = {target_steps} and the prior "
                f"{type(prior).__name__}, which is unknown at imagined latents; use target_steps "
                "= 1, or a prior that is a function of the latent, such as @LearnedPrior"
            )

    def cost(
        self,
        policy: Policy,
        prior: Prior,
        objective: KLObjective,
        batch: Batch,
        lam_weights: LamWeights,
    ) -> Soft:
        """kappa D as a function of a state, without gradient.

        Args:
            batch: the windows whose states it will be asked of.
            lam_weights: (w_R, w_KL) with a finite lambda, w_R = 1.
        """
        kappa = self.weight(lam_weights[1], objective)

        def cost(z: Tensor, noise: Tensor, ahead: int) -> Tensor:
            sample = policy.sample(z, noise)
            dist, known = prior.at(z, batch, ahead)
            divergence = objective.divergence(sample, dist, batch)  # pyright: ignore
            return kappa * torch.where(known, divergence, 0.0)

        return Soft(cost, {"soft_value_weight": kappa})
