"""Which windows of the replay an update learns from: a part of the experiment.

A sampling sees how many windows each lane holds and names some of them, oldest first from 0; it
needs no table of weights, so that a draw costs the same however many rows there are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mppi_zoo.core.ranges import Positive
from mppi_zoo.core.registration import register


class Drawn(NamedTuple):
    """Windows by their place."""

    lanes: np.ndarray  # [B] int64
    positions: np.ndarray  # [B] int64 within the lane, 0 the oldest


@register
class UniformSampling:
    """All windows are equally likely (docs/method.md, section 6)."""

    def draw(self, counts: np.ndarray, batch: int, generator: np.random.Generator) -> Drawn:
        """``batch`` windows, with replacement, where each lane holds counts [L] int64 of them."""
        drawn = generator.integers(int(counts.sum()), size=batch)
        offsets = np.concatenate([[0], np.cumsum(counts)])
        lanes = np.searchsorted(offsets, drawn, side="right") - 1
        return Drawn(lanes, drawn - offsets[lanes])


@register
class RecencySampling:
    """Fresh windows are likelier: the probability is proportional to exp(-age / tau).

    The age of a window, in agent steps, is the number of windows that began after it in its lane
    times the number of lanes. The statement is ours (docs/method.md, section 8);
    EfficientTDMPC (arXiv 2605.16692) says only that its buffer's data is fresher. Drawn by the
    inverse of the truncated exponential's distribution function, in closed form.

    Args:
        tau: agent steps after which a window is e times less likely.
    """

    def __init__(self, tau: Positive = 100_000.0):
        self.tau = tau

    def draw(self, counts: np.ndarray, batch: int, generator: np.random.Generator) -> Drawn:
        """``batch`` windows, with replacement, where each lane holds counts [L] int64 of them."""
        rate = len(counts) / self.tau  # of one window's age to the next
        within = -np.expm1(-rate * counts)  # a lane's sum of weights, times 1 - exp(-rate)
        lane, age = generator.random((2, batch))
        # the side and the clips hold where a product is rounded up to the sum of all weights
        bounds = np.cumsum(within)
        lanes = np.searchsorted(bounds, lane * bounds[-1], side="right")
        lanes = np.minimum(lanes, np.flatnonzero(counts)[-1])
        ages = np.floor(-np.log1p(-age * within[lanes]) / rate).astype(np.int64)
        return Drawn(lanes, counts[lanes] - 1 - np.minimum(ages, counts[lanes] - 1))


Sampling = UniformSampling | RecencySampling
