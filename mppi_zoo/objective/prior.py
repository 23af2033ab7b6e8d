"""Prior sources: what the policy is regularised towards (docs/method.md, section 5.2).

A prior is built by the agent as ``prior(parts)`` and answers ``dist(z, batch)``; those that learn
do so in ``fit``, the one that follows the policy in ``after_policy_step``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mppi_zoo.core.math import gaussian_kl, temporal_weights
from mppi_zoo.core.optim import ClippedAdam
from mppi_zoo.core.ranges import NonNegative, Positive, PositiveShare
from mppi_zoo.core.registration import register
from mppi_zoo.core.types import Batch, Gaussian, NetworkSizes
from mppi_zoo.networks.layers import polyak_
from mppi_zoo.networks.policy import ClippedGaussian, LogStdBounds, Policy


class PriorParts(NamedTuple):
    """What an agent offers to its prior."""

    sizes: NetworkSizes
    policy: Policy
    replan: Callable[[Tensor], Gaussian]  # obs [n, O] -> planner distribution [n, A], run now
    rho: float  # temporal weight of the policy's objective


class PriorAt(NamedTuple):
    """P_prior where a critic's target asks for it."""

    dist: Gaussian | None  # [T, B, A]; None where the prior has no Gaussian
    known: Tensor  # [T, B] bool


def _everywhere(z: Tensor) -> Tensor:
    """True for each of latents z [T, B, Z]: [T, B]."""
    return torch.ones(z.shape[:-1], dtype=torch.bool, device=z.device)


class Prior(nn.Module):
    """Base of the prior sources; the defaults learn nothing.

    Attributes:
        recordable: whether all that the prior does at an update are operations on tensors, in the
            same order each time and with draws of its own none: then an update may run as a CUDA
            graph, which replays those operations and none of the Python around them.
        of_latent: whether P_prior is a function of the latent alone, so that it is known at
            imagined latents too.
    """

    recordable = False
    of_latent = False

    def __init__(self, parts: PriorParts):
        super().__init__()
        del parts

    def dist(self, z: Tensor, batch: Batch) -> Gaussian | None:
        """P_prior at latents z [T', B, Z], for the first T of them at least: [T .. T', B, A].

        None where there is no Gaussian (the uniform prior).
        """
        return None

    def at(self, z: Tensor, batch: Batch, ahead: int) -> PriorAt:
        """P_prior at latents z [T, B, Z] of the observations o_t+ahead, t = 0 .. T-1.

        Args:
            ahead: 0 or 1; where ``of_latent``, the latents may also be imagined ones.

        Raises:
            TypeError: the prior reads the batch, and does not say how one step further on.
        """
        if not self.of_latent:
            raise TypeError(
                f"{type(self).__name__} does not say what it is at the next latents; set "
                "of_latent = True if it is a function of the latent alone, or define at()"
            )
        return PriorAt(self.dist(z, batch), _everywhere(z))

    def fit(self, z: Tensor, batch: Batch) -> dict[str, Tensor]:
        """One step of learning on detached latents z [T, B, Z]; metrics, 0-d each."""
        return {}

    def after_policy_step(self, policy: Policy) -> None:
        """Told after each step of the policy's optimiser."""

    def optimizer_state(self) -> dict[str, object]:
        """State of the prior's own optimiser, for checkpoints."""
        return {}

    def load_optimizer_state(self, state: dict[str, object]) -> None:
        """Restore :meth:`optimizer_state`."""


@register
class UniformPrior(Prior):
    """Uniform on [-1, 1]^A, or none at all: D = -h up to a constant; use NegativeEntropy."""

    recordable = True
    of_latent = True


@register
class PlannerPrior(Prior):
    """The stored planner distribution P_t of the replay; random steps read N(0, 1)."""

    recordable = True

    def dist(self, z: Tensor, batch: Batch) -> Gaussian:
        return batch.plans()[0]

    def at(self, z: Tensor, batch: Batch, ahead: int) -> PriorAt:
        return PriorAt(*batch.plans(ahead))


@register
class StoredActionPrior(Prior):
    """A Gaussian of fixed std around the action that was taken (behaviour cloning)."""

    recordable = True

    def __init__(self, parts: PriorParts, std: Positive = 0.2):
        super().__init__(parts)
        self.std = std

    def dist(self, z: Tensor, batch: Batch) -> Gaussian:
        return Gaussian(batch.action, torch.full_like(batch.action, self.std))

    def at(self, z: Tensor, batch: Batch, ahead: int) -> PriorAt:
        # the window ends before the action at its last observation
        action = torch.cat([batch.action[ahead:], torch.zeros_like(batch.action[:ahead])])
        known = _everywhere(z)
        known[known.shape[0] - ahead :] = False
        return PriorAt(Gaussian(action, torch.full_like(action, self.std)), known)


@register
class LaggedPrior(Prior):
    """A Polyak copy of the policy, moved after each policy step: a trust region."""

    recordable = True
    of_latent = True

    def __init__(self, parts: PriorParts, rate: PositiveShare = 0.01):
        super().__init__(parts)
        self.rate = rate
        self.copy = copy.deepcopy(parts.policy).requires_grad_(False)

    @torch.no_grad()
    def dist(self, z: Tensor, batch: Batch) -> Gaussian:
        return self.copy.dist(z)

    def after_policy_step(self, policy: Policy) -> None:
        polyak_(self.copy, policy, self.rate)


@register
class FreshPlannerPrior(Prior):
    """MPPI run now on every state of the batch: the ideal that re-analysis approximates."""

    def __init__(self, parts: PriorParts):
        super().__init__(parts)
        self.replan = parts.replan

    def dist(self, z: Tensor, batch: Batch) -> Gaussian:
        return self._planned(batch.obs[:-1])

    def at(self, z: Tensor, batch: Batch, ahead: int) -> PriorAt:
        obs = batch.obs[ahead : ahead + z.shape[0]]
        return PriorAt(self._planned(obs), _everywhere(z))

    @torch.no_grad()
    def _planned(self, obs: Tensor) -> Gaussian:
        plan = self.replan(obs.flatten(0, 1))
        return Gaussian(*(field.unflatten(0, obs.shape[:2]) for field in plan))


FitKL = Callable[[Gaussian, Gaussian], Tensor]


@register
def forward_kl(planner: Gaussian, prior: Gaussian) -> Tensor:
    """KL(P_t || P_phi), mode covering: [..., A] per dimension."""
    return gaussian_kl(planner, prior)


@register
def reverse_kl(planner: Gaussian, prior: Gaussian) -> Tensor:
    """KL(P_phi || P_t), mode seeking: [..., A] per dimension."""
    return gaussian_kl(prior, planner)


@register
class LearnedPrior(Prior):
    """The adaptive, "intermediate" prior of PO-MPC: a second policy head with its own Adam.

    Fitted to the replay planner's P_t; it averages away the variance of single planner samples.

    Args:
        fit_kl: :func:`forward_kl` or :func:`reverse_kl`.
        log_std_bounds: of the head.
        optimizer: its optimiser.
    """

    recordable = True
    of_latent = True

    def __init__(
        self,
        parts: PriorParts,
        fit_kl: FitKL = forward_kl,
        log_std_bounds: LogStdBounds = (-3.0, 1.0),
        optimizer: Callable[..., ClippedAdam] = ClippedAdam,
        eps: NonNegative = 1e-5,
    ):
        super().__init__(parts)
        self.fit_kl, self.rho = fit_kl, parts.rho
        head = ClippedGaussian(parts.sizes, log_std_bounds)
        # where it stays, before the optimiser takes hold of its parameters
        self.head = head.to(next(parts.policy.parameters()).device)
        self.optimizer: ClippedAdam = optimizer(self.head.parameters(), eps=eps)

    @torch.no_grad()
    def dist(self, z: Tensor, batch: Batch) -> Gaussian:
        return self.head.dist(z)

    def loss(self, z: Tensor, batch: Batch) -> Tensor:
        """Fitting loss, 0-d: (1/T) sum_t rho^t mean over B and A of the KL, unplanned steps 0."""
        plan, planned = batch.plans()
        kl = self.fit_kl(plan, self.head.dist(z)).mean(-1)
        weights = temporal_weights(self.rho, kl.shape[0], kl)
        return (weights * (kl * planned).mean(1)).mean()

    def fit(self, z: Tensor, batch: Batch) -> dict[str, Tensor]:
        loss = self.loss(z, batch)
        norm = self.optimizer.step(loss)
        return {"prior_loss": loss.detach(), "prior_grad_norm": norm}

    def optimizer_state(self) -> dict[str, object]:
        return self.optimizer.state_dict()

    def load_optimizer_state(self, state: dict[str, object]) -> None:
        self.optimizer.load_state_dict(state)
