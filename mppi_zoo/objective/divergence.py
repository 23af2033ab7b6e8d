"""D(pi || P_prior): divergences and their estimators, each with its own reduction
(docs/method.md, section 5).

A divergence is called as ``(sample, prior, batch) -> [T, B]`` on the latents t = 0 .. T-1 that
the prior covers. Its direction is the class, not a flag.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mppi_zoo.core.math import HALF_LOG_2PI, action_mean, action_sum, gaussian_kl, gaussian_log_prob
from mppi_zoo.core.ranges import Bounds, Positive
from mppi_zoo.core.registration import register
from mppi_zoo.core.types import Batch, Gaussian, PolicySample
from mppi_zoo.networks.policy import scaled_entropy

Reduction = Callable[[Tensor], Tensor]
Entropy = Callable[[PolicySample], Tensor]
StdOf = Callable[[PolicySample, Gaussian], Tensor]
Divergence = Callable[[PolicySample, Gaussian, Batch], Tensor]


@register
class AnalyticKL:
    """KL(N(tanh m, sigma) || P_prior): BMPC (mean over action dimensions) and PO-MPC."""

    def __init__(self, reduce: Reduction = action_mean):
        self.reduce = reduce

    def __call__(self, sample: PolicySample, prior: Gaussian, batch: Batch) -> Tensor:
        return self.reduce(gaussian_kl(Gaussian(sample.mean, sample.std), prior))


@register
class AnalyticKLFromPrior:
    """KL(P_prior || N(tanh m, sigma)), the other direction: mode covering."""

    def __init__(self, reduce: Reduction = action_mean):
        self.reduce = reduce

    def __call__(self, sample: PolicySample, prior: Gaussian, batch: Batch) -> Tensor:
        return self.reduce(gaussian_kl(prior, Gaussian(sample.mean, sample.std)))


@register
class SampledKL:
    """The textbook one-sample estimate log N(a; mean, sigma) - log P_prior(a), summed over A.

    The action is the unclipped N(tanh m, sigma), so that the estimate averages to the analytic KL.
    """

    def __call__(self, sample: PolicySample, prior: Gaussian, batch: Batch) -> Tensor:
        action = sample.mean + sample.std * sample.noise
        return sample.log_prob_base - gaussian_log_prob(action, *prior)


@register
class NegativeEntropy:
    """D = -h: the divergence to the uniform prior up to a constant (scale it by UnitScale)."""

    needs_prior = False

    def __init__(self, entropy: Entropy = scaled_entropy):
        self.entropy = entropy

    def __call__(self, sample: PolicySample, prior: Gaussian | None, batch: Batch) -> Tensor:
        return -self.entropy(sample)


@register
def planner_std(sample: PolicySample, prior: Gaussian, floor: Positive = 0.05) -> Tensor:
    """max(sigma_P, floor): TD-M(PC)^2."""
    del sample
    return prior.std.clamp(min=floor)


@register
def policy_std(sample: PolicySample, prior: Gaussian, floor: Positive = 0.05) -> Tensor:
    """sg[max(sigma_pi, floor)]: BOOM measures the distance in units of the policy's own std."""
    del prior
    return sample.std.detach().clamp(min=floor)


@register
def textbook_log_prob(error: Tensor, log_std: Tensor) -> Tensor:
    """log N from the standardised error, [..., A] -> [...]."""
    return (-0.5 * error.square() - log_std - HALF_LOG_2PI).sum(-1)


@register
def residual_log_prob(error: Tensor, log_std: Tensor) -> Tensor:
    """A (sum_i residual_i - ln sqrt(2 pi)): the releases of TD-M(PC)^2 and BOOM, [..., A] -> [...].

    One ln sqrt(2 pi) for all dimensions and the sum times A.
    """
    residual = (-0.5 * error.square() - log_std).sum(-1)
    return error.shape[-1] * (residual - HALF_LOG_2PI)


@register
class CrossEntropySample:
    """-log N(a_pi; mu_P, std), one sample of the cross-entropy H(pi, P).

    Args:
        std: (sample, prior) -> the std to use.
        log_prob: (standardised error, log std) -> [...], the reduction.
        log_prob_bounds: clip of the log-probability (BC-MPC: -50000 .. 0), or None.
    """

    def __init__(
        self,
        std: StdOf = planner_std,
        log_prob: Callable[[Tensor, Tensor], Tensor] = textbook_log_prob,
        log_prob_bounds: Bounds | None = None,
    ):
        self.std, self.log_prob, self.bounds = std, log_prob, log_prob_bounds

    def __call__(self, sample: PolicySample, prior: Gaussian, batch: Batch) -> Tensor:
        std = self.std(sample, prior)
        log_prob = self.log_prob((sample.action - prior.mean) / std, torch.log(std))
        if self.bounds is not None:
            log_prob = log_prob.clamp(*self.bounds)
        return -log_prob


@register
class StoredActionLikelihood:
    """-log-likelihood of the stored action under the raw network outputs (AWAC-MPC).

    No tanh on the mean and no bounds on the log-std, as in the released program.
    """

    needs_prior = False
    reads_step = True

    def __init__(self, log_prob: Callable[[Tensor, Tensor], Tensor] = residual_log_prob):
        self.log_prob = log_prob

    def __call__(self, sample: PolicySample, prior: Gaussian | None, batch: Batch) -> Tensor:
        window = batch.action.shape[0]
        mean, raw = sample.raw_mean[:window], sample.raw_log_std[:window]
        return -self.log_prob((batch.action - mean) / (torch.exp(raw) + 1e-8), raw)


@register
class SquaredError:
    """(a_pi - mu_P)_i^2 to the prior's mean, summed (BC-SAC) or averaged (Newt) over dimensions.

    Both have the stored action as prior.
    """

    def __init__(self, reduce: Reduction = action_sum):
        self.reduce = reduce

    def __call__(self, sample: PolicySample, prior: Gaussian, batch: Batch) -> Tensor:
        return self.reduce((sample.action - prior.mean).square())


def needs_prior(divergence: Divergence) -> bool:
    """Whether a divergence reads the prior's distribution (a custom one does unless it says no)."""
    return getattr(divergence, "needs_prior", True)
