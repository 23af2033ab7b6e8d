"""Randomness as data: the record of every draw of an update, drawn from a generator.

Given as records, the draws can be replayed exactly (golden numbers), compiled around, or shared
between two agents under comparison.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from mppi_zoo.core.types import UpdateNoise


def draw_pairs(count: int, heads: int, generator: torch.Generator | None) -> Tensor:
    """``count`` pairs of different critic heads, uniform, [count, 2] int64."""
    device = None if generator is None else generator.device
    uniform = torch.rand(count, heads, generator=generator, device=device)
    return uniform.argsort(-1)[:, :2]


def dropout_mask(
    shape: tuple[int, ...], rate: float, generator: torch.Generator, dtype: torch.dtype
) -> Tensor:
    """Multiplicative mask, 0 with probability ``rate``, else 1/(1 - rate).

    The gaps between zeros are geometric, so only about size * rate numbers are drawn,
    not one an element: exact, and an order of magnitude cheaper at the usual rate of 0.01.
    """
    size = math.prod(shape)
    device = generator.device
    # eight standard deviations above the expected number of zeros
    draws = math.ceil(size * rate + 8 * math.sqrt(size * rate) + 8)
    uniform = torch.rand(draws, generator=generator, device=device, dtype=torch.float64)
    gaps = torch.floor(torch.log1p(-uniform) / math.log1p(-rate)).long() + 1
    zeros = (gaps.cumsum(0) - 1).clamp(max=size)
    mask = torch.full((size + 1,), 1 / (1 - rate), dtype=dtype, device=device)
    return mask.index_fill_(0, zeros, 0.0)[:size].view(shape)


def normal_draws(generator: torch.Generator | None, dtype: torch.dtype) -> Callable[..., Tensor]:
    """(*shape) -> standard normal draws where the generator is; without one, from torch's own."""
    if generator is None:  # not passed on: that variant cannot be exported for any batch size
        return lambda *shape: torch.randn(shape, dtype=dtype)
    device = generator.device
    return lambda *shape: torch.randn(shape, generator=generator, device=device, dtype=dtype)


def draw_update_noise(
    *,
    window: int,
    batch: int,
    action_dim: int,
    heads: int,
    hidden: int,
    dropout: float,
    target_steps: int,
    baseline: bool,
    generator: torch.Generator,
    dtype: torch.dtype,
) -> UpdateNoise:
    """Draw an :class:`UpdateNoise` (shapes there); ``baseline``: whether its mask is needed."""

    normal = normal_draws(generator, dtype)

    def keep(count: int, length: int) -> Tensor | None:
        if dropout == 0:
            return None
        return dropout_mask((count, length, batch, hidden), dropout, generator, dtype)

    pairs = draw_pairs(3, heads, generator)
    return UpdateNoise(
        target_policy=normal(target_steps, window, batch, action_dim),
        target_heads=pairs[0],
        policy=normal(window + 1, batch, action_dim),
        policy_heads=pairs[1],
        baseline_heads=pairs[2],
        value_keep=keep(heads, window),
        policy_keep=keep(2, window + 1),
        baseline_keep=keep(2, window) if baseline else None,
    )
