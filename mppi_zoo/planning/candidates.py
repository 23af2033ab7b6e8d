"""What candidates a sampling planner draws: how many in each iteration, in noise of what colour.

Source: iCEM (Pinneri et al., arXiv 2008.06389).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor

from mppi_zoo.core.ranges import NonNegative, Size
from mppi_zoo.core.registration import register

CandidateNoise = Callable[[Tensor], Tensor]
Population = Callable[[int, int, int], int]


@register
def white_noise(draws: Tensor) -> Tensor:
    """Independent draws at each step: standard normal [J, H, ...] -> the same."""
    return draws


@register
class ColouredNoise:
    """Draws that go together over the steps: a power spectrum of 1/f^beta, each of variance 1.

    The plan's H steps are the beginning of a series of ``length`` steps, below whose lowest
    frequency the spectrum is flat. (A series of H = 3 steps has one frequency alone: it is white.)

    Args:
        beta: 0 is white noise, 1 pink, 2 Brownian.
        length: steps of the series; 30 is iCEM's horizon.
    """

    def __init__(self, beta: NonNegative = 2.0, length: Size = 30):
        self.beta, self.length = beta, length
        self._mixing: dict[tuple[int, torch.device, torch.dtype], Tensor] = {}

    def correlation(self) -> Tensor:
        """Of two steps at a distance of 0, 1, ... steps, [length] float64; 1 at distance 0."""
        lowest = 1 / self.length
        frequency = torch.fft.fftfreq(self.length, dtype=torch.float64).abs().clamp_min(lowest)
        power = frequency**-self.beta
        # of the difference to white noise, so that beta = 0 leaves no rounding
        found = torch.fft.ifft(power / power.mean() - 1).real
        found[0] += 1
        return found / found[0]

    def mixing(self, horizon: int) -> Tensor:
        """The symmetric matrix [H, H] that makes white draws coloured, float64.

        Raises:
            ValueError: the plan is longer than the series.
        """
        if horizon > self.length:
            raise ValueError(
                f"ColouredNoise.length = {self.length} is shorter than the plan's {horizon} steps; "
                "raise it"
            )
        step = torch.arange(horizon)
        covariance = self.correlation()[(step[:, None] - step).abs()]
        power, axes = torch.linalg.eigh(covariance)
        return (axes * power.clamp_min(0).sqrt()) @ axes.mT

    def __call__(self, draws: Tensor) -> Tensor:
        """Standard normal [J, H, ...] -> coloured, the same shape."""
        key = (draws.shape[1], draws.device, draws.dtype)
        if key not in self._mixing:
            self._mixing[key] = self.mixing(key[0]).to(draws.device, draws.dtype)
        return torch.einsum("ts,js...->jt...", self._mixing[key], draws).contiguous()


@register
def constant_population(iteration: int, samples: int, elites: int) -> int:
    """As many candidates in each iteration."""
    return samples


@register
class ShrinkingPopulation:
    """N / factor^j candidates in iteration j = 0, 1, ..., but not fewer than twice the elites.

    Args:
        factor: at least 1; 1.25 in iCEM.
    """

    def __init__(self, factor: Annotated[float, Ge(1)] = 1.25):
        self.factor = factor

    def __call__(self, iteration: int, samples: int, elites: int) -> int:
        """Candidates of an iteration."""
        return min(samples, max(int(samples / self.factor**iteration), 2 * elites))


def check_sizes(planner: Any) -> None:
    """Whether the sizes of an :class:`~mppi_zoo.planning.mppi.MPPIPlanner` fit together.

    Raises:
        ValueError: naming those that do not.
    """
    samples, elites, proposals = planner.samples, planner.elites, planner.policy_samples
    if elites > samples:
        raise ValueError(f"MPPIPlanner: elites = {elites}, expected 1 .. samples = {samples}")
    if proposals >= samples:
        raise ValueError(
            f"MPPIPlanner: policy_samples = {proposals}, expected 0 .. samples - 1 = {samples - 1}"
        )
    if planner.min_std > planner.max_std:
        raise ValueError(
            f"MPPIPlanner: min_std {planner.min_std} is above max_std {planner.max_std}; lower it"
        )
    if proposals < planner.start.proposals:
        raise ValueError(
            f"MPPIPlanner: policy_samples = {proposals}, but {type(planner.start).__name__} needs "
            f"at least {planner.start.proposals}; raise it"
        )
    kept = planner.memory.count(elites)
    least = max(elites, proposals + kept + (kept > 0))
    found = planner.population(planner.base_iterations + planner.wide_extra - 1, samples, elites)
    if found < least:
        raise ValueError(
            f"MPPIPlanner: {found} candidates in the last iteration, expected at least {least}: "
            f"{elites} elites, {proposals} proposals, {kept} kept elites; raise samples or lower "
            "the others"
        )
