"""The one KL-regularised policy objective (docs/method.md, section 5).

J = w_R Q/S_Q - w_KL D/S_KL + alpha h;  loss = -(1/T') sum_t rho^t mean_batch J_t.

Every published member is a choice of the parts that are passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mppi_zoo.core.math import temporal_weights
from mppi_zoo.core.ranges import Extended, NonNegative, PositiveShare, Probability
from mppi_zoo.core.registration import register
from mppi_zoo.core.types import Batch, Gaussian, PolicySample
from mppi_zoo.networks.policy import scaled_entropy
from mppi_zoo.objective.divergence import Divergence, Entropy, needs_prior
from mppi_zoo.objective.kl_weight import KLWeight, LamWeights, as_kl_weight
from mppi_zoo.objective.sample_weights import SampleWeights, UnitWeights
from mppi_zoo.objective.scale import DivergenceScale, RunningScale, Statistics


class ObjectiveTerms(NamedTuple):
    """The loss and what it is made of: loss = cost - gain."""

    loss: Tensor  # 0-d
    gain: Tensor  # 0-d, weighted return and entropy
    cost: Tensor  # 0-d, weighted divergence
    statistics: Statistics  # the scales after this batch
    value: Tensor | None  # [T', B] raw Q, None where nothing asked for it
    divergence: Tensor  # [T, B] raw D
    entropy: Tensor  # [T', B] h
    kl_weight: Tensor  # 0-d w_KL
    kl_factor: Tensor  # 0-d, 1/S_KL
    sample_weights: Tensor | float  # [T, B] or 1

    def metrics(self, divergence: Tensor) -> dict[str, Tensor]:
        """For the log, 0-d each; ``divergence`` is the mean of the raw D."""
        found = {
            "policy_loss": self.loss.detach(),
            "divergence": divergence,
            "entropy": self.entropy.detach().mean(),
            "lam": self.kl_weight,
            "kl_factor": self.kl_factor.detach(),
            "value_scale": self.statistics.value.clone(),
        }
        if self.value is not None:
            found["policy_q"] = self.value.detach().mean()
        return found


@register
class KLObjective(nn.Module):
    """See the module's docstring.

    Args:
        lam: lambda; a number in [0, inf] or an object of :mod:`mppi_zoo.objective.kl_weight`.
        divergence: D, an object of :mod:`mppi_zoo.objective.divergence`.
        kl_scale: what D is multiplied by, an object of :mod:`mppi_zoo.objective.scale`.
        sample_weights: weights per sample on D, of :mod:`mppi_zoo.objective.sample_weights`.
        entropy: h, a function of :mod:`mppi_zoo.networks.policy`.
        alpha: weight of the entropy term.
        last_latent: whether t = H counts too (TD-MPC2) or only 0 .. H-1.
        rho: temporal weight.
        scale_rate: rate of the running scale of Q.
    """

    def __init__(
        self,
        lam: Extended | KLWeight,
        divergence: Divergence,
        kl_scale: DivergenceScale,
        sample_weights: SampleWeights | None = None,
        entropy: Entropy = scaled_entropy,
        alpha: NonNegative = 1e-4,
        last_latent: bool = False,
        rho: PositiveShare = 0.5,
        scale_rate: Probability = 0.01,
    ):
        super().__init__()
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

    @property
    def needs_return(self) -> bool:
        """Whether the sample weights read the returns of the windows' episodes."""
        return self.sample_weights.needs_return

    def latents(self, zs: Tensor) -> Tensor:
        """Those of z_0 .. z_T [T+1, B, Z] that count: all, or all but the last."""
        return zs if self.last_latent else zs[:-1]

    def statistics(self) -> Statistics:
        """The running scales as they are kept."""
        return Statistics(self.value_scale.value, self.kl_scale.kept)

    @torch.no_grad()
    def store(self, statistics: Statistics) -> None:
        """Keep the scales that a loss returned."""
        for kept, new in zip(self.statistics(), statistics, strict=True):
            kept.copy_(new)

    def forward(
        self,
        sample: PolicySample,
        prior: Gaussian | None,
        batch: Batch,
        lam_weights: LamWeights,
        statistics: Statistics,
        value: Callable[[], Tensor],
        baseline: Callable[[], Tensor],
    ) -> ObjectiveTerms:
        """The loss of one batch; a function of its arguments alone.

        Args:
            sample: the policy at the T' latents used, [T', B, ...].
            prior: P_prior at the first T of them, [T, B, A]; None for a divergence without one.
            batch: the windows that the latents came from.
            lam_weights: (w_R, w_KL), from ``lam.weights(step)``; tensors, so that a change of
                lambda never recompiles.
            statistics: the running scales before this batch.
            value: -> Q(z, a_pi) [T', B], called only where it is needed.
            baseline: -> Q(z, a) of the stored actions [T, B], likewise.
        """
        return_weight, kl_weight = lam_weights
        # divergence to the prior, at the T latents that it covers
        window = sample.action.shape[0] if prior is None else prior.mean.shape[0]
        covered = PolicySample(*(field[:window] for field in sample))
        divergence = self.divergence(covered, prior, batch)  # pyright: ignore[reportArgumentType]
        # gain: entropy and scaled return
        entropy = self.entropy(sample)
        gain = self.alpha * entropy
        q = scaled = scaled_baseline = None
        if self.needs_value:
            q = value()
            statistics = statistics._replace(
                value=self.value_scale.moved(statistics.value, q[0].detach())
            )
            scaled = q / statistics.value
            gain = gain + return_weight * scaled
        if self.needs_baseline:
            scaled_baseline = baseline() / statistics.value
        # cost: scaled and weighted divergence
        kl_factor, kl_scale = self.kl_scale(divergence, statistics)
        covered_value = None if scaled is None else scaled[: divergence.shape[0]]
        sample_weights = self.sample_weights(covered_value, scaled_baseline, batch)
        cost = kl_weight * kl_factor * sample_weights * divergence
        loss, gain, cost = self._summed(gain, cost)
        statistics = statistics._replace(divergence=kl_scale)
        raw = (q, divergence, entropy)
        return ObjectiveTerms(
            loss, gain, cost, statistics, *raw, kl_weight, kl_factor, sample_weights
        )

    def _summed(self, gain: Tensor, cost: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Loss, gain and cost, 0-d: mean over the batch, sum over time with rho^t, over T'.

        Args:
            gain: [T', B]; cost: [T, B].
        """
        steps = gain.shape[0]
        weights = temporal_weights(self.rho, steps, gain)
        gain_sum = (weights * gain.mean(1)).sum()
        cost_sum = (weights[: cost.shape[0]] * cost.mean(1)).sum()
        return (cost_sum - gain_sum) / steps, gain_sum / steps, cost_sum / steps
