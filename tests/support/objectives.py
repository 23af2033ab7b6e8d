"""Numbers, draws and small problems for tests of the objective's parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from support.agents import random_batch
from torch import Tensor

from mppi_zoo.core.math import HALF_LOG_2PI
from mppi_zoo.core.types import EnvSpec, PolicySample
from mppi_zoo.networks.policy import textbook_entropy
from mppi_zoo.objective.kl_objective import KLObjective
from mppi_zoo.objective.scale import UnitScale

SPEC = EnvSpec(5, 2, 500)


ANY_BATCH = random_batch(SPEC, 4)  # for divergences that read none


FEW = settings(max_examples=max(4, settings().max_examples // 3))


def tensor(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def gaussian_sample(mean: Tensor, log_std: Tensor, noise: Tensor) -> PolicySample:
    """What a head without squash, clip or bounds would return, noise [..., A]."""
    std = log_std.exp().expand(noise.shape)
    mean = mean.expand(noise.shape)
    return PolicySample(
        action=mean + std * noise,
        mean=mean,
        std=std,
        raw_mean=mean,
        raw_log_std=log_std.expand(noise.shape),
        noise=noise,
        log_prob_base=(-0.5 * noise.square() - std.log() - HALF_LOG_2PI).sum(-1),
        squash=torch.zeros(noise.shape[:-1], dtype=noise.dtype),
    )


def quadrature(action_dim: int, order: int = 4) -> tuple[Tensor, Tensor]:
    """Nodes [order^A, A] and weights [order^A] of the standard normal's expectation."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(order)
    grid = np.stack(np.meshgrid(*[nodes] * action_dim, indexing="ij"), -1)
    share = np.stack(np.meshgrid(*[weights / weights.sum()] * action_dim, indexing="ij"), -1)
    return tensor(grid.reshape(-1, action_dim)), tensor(share.prod(-1).reshape(-1))


vectors = st.lists(st.floats(-0.7, 0.7), min_size=2, max_size=2).map(tensor)


log_stds = st.lists(st.floats(-3.0, 1.0), min_size=2, max_size=2).map(tensor)


def unscaled(lam: Any, divergence: Any, alpha: float = 0.0) -> KLObjective:
    """The objective with S_Q and S_KL fixed at 1."""
    objective = KLObjective(
        lam, divergence, UnitScale(), entropy=textbook_entropy, alpha=alpha, scale_rate=0.0
    ).double()
    objective.lam.bind(2)
    return objective
