"""What a gradient planner states of the first action (docs/method.md, section 4)."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mppi_zoo.core.types import Gaussian
from mppi_zoo.planning.gradient_report import (
    SpreadAboutBest,
    at_least_the_policys_std,
    spread_about,
)

seeds = st.integers(0, 10_000)


def drawn(seed: int, std: float = 0.3) -> tuple[Tensor, Tensor, Gaussian]:
    """First actions [3, 5, 2], the first of them as the best, and the policy's Gaussian."""
    generator = torch.Generator().manual_seed(seed)
    first = std * torch.randn(3, 5, 2, generator=generator, dtype=torch.float64)
    policy = Gaussian(torch.zeros_like(first[:, 0]), torch.full_like(first[:, 0], std))
    return first, first[:, 0], policy


@given(seed=seeds)
def test_the_std_is_never_below_the_policys(seed: int) -> None:
    first, best, policy = drawn(seed)
    dist = at_least_the_policys_std(first, best, policy)
    assert torch.equal(dist.mean, best) and (dist.std >= policy.std).all()
    assert torch.equal(dist.std, torch.maximum(policy.std, spread_about(first, best)))


@given(seed=seeds, share=st.floats(0.1, 2.0))
def test_the_spread_is_a_share_within_bounds(seed: int, share: float) -> None:
    first, best, policy = drawn(seed)
    dist = SpreadAboutBest(share, 0.05, 0.4)(first, best, policy)
    spread = torch.stack([(first[:, n] - best).square() for n in range(5)]).mean(0).sqrt()
    assert torch.equal(dist.mean, best)
    assert torch.allclose(dist.std, (share * spread).clamp(0.05, 0.4), rtol=1e-12)


def test_under_imitation_the_std_contracts_only_with_the_spread() -> None:
    """n draws of a policy, the best of them at random: what repeated imitation does to its std."""
    told = {}
    for name, report in (
        ("policy", at_least_the_policys_std),
        ("spread", SpreadAboutBest(0.5, 1e-3, 2.0)),
    ):
        std = 0.3
        for seed in range(40):
            std = report(*drawn(seed, std)).std.square().mean().sqrt().item()
        told[name] = std
    assert told["policy"] > 1.0 and told["spread"] < 0.05


def test_bounds_that_cross_are_refused() -> None:
    with pytest.raises(ValueError, match="SpreadAboutBest.min_std = 3.0: expected at most"):
        SpreadAboutBest(min_std=3.0)
