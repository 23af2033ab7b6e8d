"""The one KL-regularised policy objective (spec section 5).

J = w_R Q/S_Q - w_KL D/S_KL + alpha h;  loss = -(1/T') sum_t rho^t mean_batch J_t.

Every published member is a choice of the parts that are passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import gin
import torch
from torch import Tensor, nn

from mppi_zoo.core.math import temporal_weights
from mppi_zoo.core.types import Batch, Gaussian, PolicySample
from mppi_zoo.networks.policy import scaled_entropy
from mppi_zoo.objective.divergence import Divergence, Entropy, UnitWeights, needs_prior
from mppi_zoo.objective.kl_weight import as_kl_weight
from mppi_zoo.objective.scale import DivergenceScale, RunningScale


class ObjectiveTerms(NamedTuple):
    """The loss and what it was made of."""

    loss: Tensor  # 0-d
    value: Tensor | None  # [T', B] raw Q, None where nothing asked for it
    divergence: Tensor  # [T, B] raw D
    entropy: Tensor  # [T', B] h
    kl_weight: Tensor  # 0-d w_KL
    kl_factor: Tensor  # 0-d, 1/S_KL
    sample_weights: Tensor | float  # [T, B] or 1


@gin.register
class KLObjective(nn.Module):
    """See the module's docstring.

    Args:
        lam: lambda; a number in [0, inf] or an object of :mod:`mppi_zoo.objective.kl_weight`.
        divergence: D, an object of :mod:`mppi_zoo.objective.divergence`.
        kl_scale: what D is multiplied by, an object of :mod:`mppi_zoo.objective.scale`.
        sample_weights: weights per sample on D.
        entropy: h, a function of :mod:`mppi_zoo.networks.policy`.
        alpha: weight of the entropy term.
        last_latent: whether t = H counts too (TD-MPC2) or only 0 .. H-1.
        rho: temporal weight.
        scale_rate: rate of the running scale of Q.
    """

    def __init__(
        self,
        lam: Any,
        divergence: Divergence,
        kl_scale: DivergenceScale,
        sample_weights: Any = None,
        entropy: Entropy = scaled_entropy,
        alpha: float = 1e-4,
        last_latent: bool = False,
        rho: float = 0.5,
        scale_rate: float = 0.01,
    ):
        super().__init__()
        if alpha < 0 or not 0 < rho <= 1:
            raise ValueError(f"KLObjective: expected alpha {alpha} >= 0 and rho {rho} in (0, 1]")
        self.lam = as_kl_weight(lam)
        self.divergence, self.kl_scale = divergence, kl_scale
        self.sample_weights = UnitWeights() if sample_weights is None else sample_weights
        self.entropy, self.alpha, self.rho = entropy, alpha, rho
        self.last_latent = last_latent
        self.value_scale = RunningScale(scale_rate)

    @property
    def needs_prior(self) -> bool:
        """Whether the divergence reads the prior's distribution."""
        return needs_prior(self.divergence)

    @property
    def needs_value(self) -> bool:
        """Whether any part reads Q; at lambda = inf usually none, and the critic is left alone."""
        return self.lam.uses_return or self.kl_scale.needs_value or self.sample_weights.needs_value

    @property
    def needs_baseline(self) -> bool:
        """Whether the sample weights read Q of the stored action."""
        return self.sample_weights.needs_baseline

    def forward(
        self,
        sample: PolicySample,
        prior: Gaussian | None,
        batch: Batch,
        lam_weights: tuple[Tensor, Tensor],
        value: Callable[[], Tensor],
        baseline: Callable[[], Tensor],
    ) -> ObjectiveTerms:
        """The loss of one batch; updates the running scales.

        Args:
            sample: the policy at the T' latents used, [T', B, ...].
            prior: P_prior at the first T of them, [T, B, A]; None for a divergence without one.
            batch: the windows that the latents came from.
            lam_weights: (w_R, w_KL), from ``lam.weights(step)``; tensors, so that a change of
                lambda never recompiles.
            value: -> Q(z, a_pi) [T', B], called only where it is needed.
            baseline: -> Q(z, a) of the stored actions [T, B], likewise.
        """
        window = sample.action.shape[0] if prior is None else prior.mean.shape[0]
        covered = PolicySample(*(field[:window] for field in sample))
        divergence = self.divergence(covered, prior, batch)  # pyright: ignore[reportArgumentType]
        entropy = self.entropy(sample)
        weights = temporal_weights(self.rho, sample.action.shape[0], entropy)
        return_weight, kl_weight = lam_weights

        gain = self.alpha * entropy
        q = scaled = scaled_baseline = None
        if self.needs_value:
            q = value()
            self.value_scale.update(q[0].detach())
            scaled = q / self.value_scale.value
            gain = gain + return_weight * scaled
        if self.needs_baseline:
            scaled_baseline = baseline() / self.value_scale.value
        kl_factor = self.kl_scale(divergence, self.value_scale.value)
        covered_value = None if scaled is None else scaled[: divergence.shape[0]]
        sample_weights = self.sample_weights(covered_value, scaled_baseline)
        cost = kl_weight * kl_factor * sample_weights * divergence

        gain_sum = (weights * gain.mean(1)).sum()
        cost_sum = (weights[: divergence.shape[0]] * cost.mean(1)).sum()
        loss = (cost_sum - gain_sum) / sample.action.shape[0]
        return ObjectiveTerms(loss, q, divergence, entropy, kl_weight, kl_factor, sample_weights)


def diagnostics(terms: ObjectiveTerms, objective: KLObjective) -> dict[str, Tensor]:
    """The objective's figures as 0-d tensors on the device, for logging."""
    figures = {
        "policy_loss": terms.loss.detach(),
        "divergence": terms.divergence.detach().mean(),
        "entropy": terms.entropy.detach().mean(),
        "lam": terms.kl_weight,
        "kl_factor": terms.kl_factor.detach(),
        "value_scale": objective.value_scale.value.clone(),
    }
    if terms.value is not None:
        figures["policy_q"] = terms.value.detach().mean()
    return {name: torch.as_tensor(figure) for name, figure in figures.items()}
