"""Every random draw of one MPPI plan, as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mppi_zoo.core.noise import draw_pairs, normal_draws
from mppi_zoo.planning.scoring import ScoreNoise


class MPPINoise(NamedTuple):
    """Every random draw of one plan."""

    policy: Tensor  # [H, B, P, A] standard normal, for the policy's proposals
    candidates: Tensor  # [J, H, B, N-P, A] standard normal
    terminal: Tensor  # [J, B, N, A] standard normal, policy noise of the terminal value
    heads: Tensor  # [J, 2] int64, critic heads of the terminal value, without replacement
    pick: Tensor  # [B, K] Exp(1), for the Gumbel-max draw of the elite
    action: Tensor  # [B, A] standard normal, exploration
    along: Tensor | None = None  # [J, B, N, V, A] standard normal, further draws of the scoring

    @staticmethod
    def distributions() -> dict[str, str]:
        """What each field is drawn from, as :func:`draw_mppi_noise` does."""
        normal = dict.fromkeys(("policy", "candidates", "terminal", "action", "along"), "normal")
        return normal | {"heads": "pairs", "pick": "exponential"}


PlanNoise = MPPINoise  # the public name, from when MPPI was the only planner


def draw_mppi_noise(
    *,
    horizon: int,
    batch: int,
    samples: int,
    policy_samples: int,
    elites: int,
    iterations: int,
    action_dim: int,
    heads: int,
    along: int,
    generator: torch.Generator | None,
    dtype: torch.dtype,
) -> MPPINoise:
    """Draw a :class:`MPPINoise` (shapes there); without a generator, from torch's own.

    Args:
        heads: E; along: V.
    """
    normal = normal_draws(generator, dtype)
    device = None if generator is None else generator.device
    exponential = torch.empty(batch, elites, device=device, dtype=dtype)
    return MPPINoise(
        policy=normal(horizon, batch, policy_samples, action_dim),
        candidates=normal(iterations, horizon, batch, samples - policy_samples, action_dim),
        terminal=normal(iterations, batch, samples, action_dim),
        heads=draw_pairs(iterations, heads, generator),
        pick=exponential.exponential_(generator=generator),
        action=normal(batch, action_dim),
        along=normal(iterations, batch, samples, along, action_dim) if along else None,
    )


def of_iterations(noise: MPPINoise, sizes: Sequence[int]) -> Iterator[tuple[Tensor, ScoreNoise]]:
    """For each iteration the draws of its candidates [H, B, n, A] and of their scores.

    Args:
        sizes: candidates of each iteration, the policy's included; the first draws are used.
    """
    proposals = noise.policy.shape[2]
    for number, size in enumerate(sizes):
        along = None if noise.along is None else noise.along[number, :, :size]
        terminal = noise.terminal[number, :, :size]
        score = ScoreNoise(terminal, noise.heads[number], along)
        yield noise.candidates[number, :, :, : size - proposals], score


def noise_of_states(noise: MPPINoise, states: Tensor) -> MPPINoise:
    """The draws of some of the states, numbered in ``states`` [b] int64."""
    return MPPINoise(
        policy=noise.policy.index_select(1, states),
        candidates=noise.candidates.index_select(2, states),
        terminal=noise.terminal.index_select(1, states),
        heads=noise.heads,
        pick=noise.pick[states],
        action=noise.action[states],
        along=None if noise.along is None else noise.along.index_select(1, states),
    )
