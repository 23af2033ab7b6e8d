"""Pure maths on tensors: symlog, Gaussians, percentiles, temporal weights.

Nothing here knows of networks or of agents. Axis letters: :mod:`mppi_zoo.core.types`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mppi_zoo.core.registration import register
from mppi_zoo.core.types import Gaussian

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def symlog(x: Tensor) -> Tensor:
    """sign(x) ln(1 + |x|), elementwise (docs/method.md, section 2)."""
    return torch.sign(x) * torch.log1p(torch.abs(x))


def symexp(x: Tensor) -> Tensor:
    """The inverse of :func:`symlog`: sign(x) (exp(|x|) - 1)."""
    return torch.sign(x) * torch.expm1(torch.abs(x))


def temporal_weights(rho: float, count: int, like: Tensor) -> Tensor:
    """rho^t for t = 0 .. count-1, shape [count], of the dtype and device of ``like``."""
    return torch.pow(rho, torch.arange(count, device=like.device, dtype=like.dtype))


def weighted(x: Tensor, weights: Tensor | None) -> Tensor:
    """x [...] times weights that broadcast with it; x itself where there are none."""
    return x if weights is None else x * weights


def discount_factor(
    episode_length: int, low: float = 0.95, high: float = 0.995, denominator: float = 5.0
) -> float:
    """Discount from the episode length in agent steps (docs/method.md, section 1).

    clip((T/5 - 1)/(T/5), 0.95, 0.995): an effective horizon of a fifth of the episode.
    """
    fraction = episode_length / denominator
    return min(max((fraction - 1) / fraction, low), high)


def gaussian_log_prob(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """log N(x; mean, std) summed over the last axis: [..., A] -> [...]."""
    error = (x - mean) / std
    return (-0.5 * error.square() - torch.log(std) - HALF_LOG_2PI).sum(-1)


def gaussian_kl(p: Gaussian, q: Gaussian) -> Tensor:
    """KL(p || q) of diagonal Gaussians per action dimension, [..., A] -> [..., A]."""
    ratio = p.std / q.std
    error = (p.mean - q.mean) / q.std
    return 0.5 * (ratio.square() + error.square() - 1) - torch.log(ratio)


def gaussian_entropy(p: Gaussian) -> Tensor:
    """Entropy of a diagonal Gaussian, [..., A] -> [...], in nats."""
    return (torch.log(p.std) + HALF_LOG_2PI + 0.5).sum(-1)


def percentile_range(x: Tensor, low: float = 0.05, high: float = 0.95) -> Tensor:
    """Difference of two percentiles over all elements of x, linear interpolation, 0-d."""
    # made on the device: a tensor of Python numbers would be copied there, and waited for
    shares = torch.linspace(low, high, 2, dtype=x.dtype, device=x.device)
    bounds = torch.quantile(x.flatten(), shares)
    return bounds[1] - bounds[0]


@register
def pair_mean(values: Tensor) -> Tensor:
    """Mean over the two drawn heads: [2, ...] -> [...]."""
    return values.mean(0)


@register
def pair_min(values: Tensor) -> Tensor:
    """Minimum of the two drawn heads: [2, ...] -> [...]."""
    return values.amin(0)


@register
def action_mean(x: Tensor) -> Tensor:
    """Mean over action dimensions: [..., A] -> [...]."""
    return x.mean(-1)


@register
def action_sum(x: Tensor) -> Tensor:
    """Sum over action dimensions: [..., A] -> [...]."""
    return x.sum(-1)
