"""Policy heads, squashed and clipped Gaussians, and entropy terms.

Source: docs/method.md, section 3.
"""

from __future__ import annotations

import abc

import torch
from torch import Tensor, nn

from mppi_zoo.core.math import HALF_LOG_2PI
from mppi_zoo.core.ranges import Bounds
from mppi_zoo.core.registration import register
from mppi_zoo.core.types import Gaussian, NetworkSizes, PolicySample
from mppi_zoo.networks.layers import mlp

LogStdBounds = Bounds


class Policy(nn.Module, abc.ABC):
    """A network of two hidden blocks from z to m and s, and the Gaussian policy that they give.

    log sigma = low + (high - low)(tanh s + 1)/2 keeps log sigma within its bounds.

    Args:
        spec: sizes of the environment.
        latent_dim: Z.
        mlp_dim: M.
        log_std_bounds: (low, high) of log sigma.

    Raises:
        ValueError: low is not below high.
    """

    def __init__(self, sizes: NetworkSizes, log_std_bounds: LogStdBounds):
        super().__init__()
        low, high = log_std_bounds
        if not low < high:
            raise ValueError(f"log_std_bounds {log_std_bounds}: the first must be below the second")
        self.log_std_bounds = log_std_bounds
        self.net = mlp(sizes.latent_dim, [sizes.mlp_dim, sizes.mlp_dim], 2 * sizes.action_dim)

    def _head(self, z: Tensor, bounds: LogStdBounds | None) -> tuple[Tensor, Tensor, Tensor]:
        mean, raw = self.net(z).chunk(2, -1)
        low, high = bounds or self.log_std_bounds
        return mean, raw, low + 0.5 * (high - low) * (torch.tanh(raw) + 1)

    def dist(self, z: Tensor, bounds: LogStdBounds | None = None) -> Gaussian:
        """The Gaussian N(tanh m, sigma) at z [..., Z].

        It is exact for the clipped head before its clip, and an approximation in action space for
        the squashed head. ``bounds`` replaces the log-std bounds.
        """
        mean, _, log_std = self._head(z, bounds)
        return Gaussian(torch.tanh(mean), torch.exp(log_std))

    def mode(self, z: Tensor) -> Tensor:
        """The deterministic action tanh m, [..., A]."""
        return torch.tanh(self.net(z).chunk(2, -1)[0])

    def act(self, z: Tensor, noise: Tensor, bounds: LogStdBounds | None = None) -> Tensor:
        """Only the action of :meth:`sample`: z [..., Z], noise [..., A] -> [..., A]."""
        mean, _, log_std = self._head(z, bounds)
        return self._squash(mean, torch.exp(log_std), noise)

    def sample(self, z: Tensor, noise: Tensor, bounds: LogStdBounds | None = None) -> PolicySample:
        """A reparameterised draw with noise [..., A]; ``bounds`` replaces the log-std bounds."""
        mean, raw, log_std = self._head(z, bounds)
        std = torch.exp(log_std)
        action = self._squash(mean, std, noise)
        return PolicySample(
            action=action,
            mean=torch.tanh(mean),
            std=std,
            raw_mean=mean,
            raw_log_std=raw,
            noise=noise,
            log_prob_base=(-0.5 * noise.square() - log_std - HALF_LOG_2PI).sum(-1),
            squash=self._log_det(action),
        )

    @abc.abstractmethod
    def _squash(self, mean: Tensor, std: Tensor, noise: Tensor) -> Tensor:
        """The action from m, sigma and noise, [..., A] each: [..., A]."""

    @abc.abstractmethod
    def _log_det(self, action: Tensor) -> Tensor:
        """The log-determinant of the squashing at an action [..., A], summed over dimensions."""


@register
class SquashedGaussian(Policy):
    """a = tanh(m + sigma eps): TD-MPC2, TD-M(PC)^2, BOOM."""

    def __init__(self, sizes: NetworkSizes, log_std_bounds: LogStdBounds = (-10.0, 2.0)):
        super().__init__(sizes, log_std_bounds)

    def _squash(self, mean: Tensor, std: Tensor, noise: Tensor) -> Tensor:
        return torch.tanh(mean + std * noise)

    def _log_det(self, action: Tensor) -> Tensor:
        return torch.log(torch.relu(1 - action.square()) + 1e-6).sum(-1)


@register
class ClippedGaussian(Policy):
    """a = clip(tanh m + sigma eps, -1, 1): BMPC, PO-MPC.

    The log-probability is that before the clip.
    """

    def __init__(self, sizes: NetworkSizes, log_std_bounds: LogStdBounds = (-3.0, 1.0)):
        super().__init__(sizes, log_std_bounds)

    def _squash(self, mean: Tensor, std: Tensor, noise: Tensor) -> Tensor:
        return (torch.tanh(mean) + std * noise).clamp(-1, 1)

    def _log_det(self, action: Tensor) -> Tensor:
        return torch.zeros_like(action[..., 0])


@register
def scaled_entropy(sample: PolicySample) -> Tensor:
    """TD-MPC2's and BMPC's term, -l_a (A l_u)/(l_a + 1e-8), i.e. -A l_u up to rounding: [...]."""
    log_prob = sample.log_prob_base - sample.squash
    action_dim = sample.action.shape[-1]
    return -log_prob * (action_dim * sample.log_prob_base) / (log_prob + 1e-8)


@register
def squashed_entropy(sample: PolicySample) -> Tensor:
    """-A l_a: TD-MPC2's factor A on the entropy after the squashing: [...].

    Unlike :func:`scaled_entropy` it falls where the action saturates.
    """
    return sample.action.shape[-1] * (sample.squash - sample.log_prob_base)


@register
def residual_entropy(sample: PolicySample) -> Tensor:
    """TD-M(PC)^2's and BOOM's term: [...].

    It subtracts one half log 2 pi once, not once per dimension, and multiplies the sum by A:
    -[A (sum_i residual_i - ln sqrt(2 pi)) - sum_i ln(max(1 - a_i^2, 0) + 1e-6)].
    """
    action_dim = sample.action.shape[-1]
    residual = sample.log_prob_base + action_dim * HALF_LOG_2PI
    return -(action_dim * (residual - HALF_LOG_2PI) - sample.squash)


@register
def textbook_entropy(sample: PolicySample) -> Tensor:
    """-l_a, the sample estimate of the entropy of the executed action: [...]."""
    return sample.squash - sample.log_prob_base
