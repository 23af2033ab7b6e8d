"""The learned prior: what it is fitted to and where (docs/method.md, section 7, property 8)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.agents import random_batch
from support.objectives import FEW, SPEC
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from mppi_zoo.core.optim import ClippedAdam
from mppi_zoo.core.types import Batch, Gaussian, NetworkSizes
from mppi_zoo.networks.policy import ClippedGaussian
from mppi_zoo.objective.prior import LearnedPrior, PriorParts, forward_kl, reverse_kl

LATENT = 4


SIZES = NetworkSizes(LATENT, SPEC.action_dim, 8)


def learned_prior(fit_kl: Callable[[Gaussian, Gaussian], Tensor], **kwargs: Any) -> LearnedPrior:
    policy = ClippedGaussian(SIZES)

    def never(obs: Tensor) -> Gaussian:
        raise AssertionError("a learned prior plans nothing")

    parts = PriorParts(SIZES, policy, never, 0.5)
    return LearnedPrior(parts, fit_kl, **kwargs).double()


def plans(seed: int) -> tuple[Batch, Tensor]:
    """A batch of plans within the head's reach, and each step's share in the fitting loss."""
    batch = random_batch(SPEC, 7, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    shape = batch.plan.mean.shape
    mean = 1.2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 0.6
    std = 0.15 + 0.6 * torch.rand(shape, generator=generator, dtype=torch.float64)
    planned = batch.planned.clone()
    planned[0, 0] = True
    batch = batch._replace(plan=Gaussian(mean, std), planned=planned)
    share = 0.5 ** torch.arange(3, dtype=torch.float64)[:, None] * planned[:-1]
    return batch, (share / share.sum()).unsqueeze(-1)


def fit(prior: LearnedPrior, z: Tensor, batch: Batch) -> Gaussian:
    """The head's optimum at one latent: its last bias is free, which reaches every Gaussian."""
    last = list(prior.head.net)[-1]
    assert isinstance(last, torch.nn.Linear)
    solver = torch.optim.LBFGS(
        [last.bias],
        max_iter=300,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-12,
        tolerance_change=1e-16,
    )

    def closure() -> Tensor:
        solver.zero_grad()
        loss = prior.loss(z, batch)
        loss.backward()
        return loss

    solver.step(closure)
    return Gaussian(*(field[0, 0] for field in prior.dist(z, batch)))


@FEW
@given(seed=st.integers(0, 10_000))
def test_forward_fitting_matches_moments(seed: int) -> None:
    batch, share = plans(seed)
    z = torch.full((3, 7, LATENT), 0.25, dtype=torch.float64)
    found = fit(learned_prior(forward_kl), z, batch)
    plan, _ = batch.plans()
    mean = (share * plan.mean).sum((0, 1))
    within = (share * plan.std.square()).sum((0, 1))
    between = (share * (plan.mean - mean).square()).sum((0, 1))
    assert torch.allclose(found.mean, mean, atol=1e-5)
    assert torch.allclose(found.std.square(), within + between, rtol=1e-4)


@FEW
@given(seed=st.integers(0, 10_000))
def test_reverse_fitting_weighs_by_precision(seed: int) -> None:
    batch, share = plans(seed)
    z = torch.full((3, 7, LATENT), 0.25, dtype=torch.float64)
    found = fit(learned_prior(reverse_kl), z, batch)
    plan, _ = batch.plans()
    precision = (share / plan.std.square()).sum((0, 1))
    mean = (share * plan.mean / plan.std.square()).sum((0, 1)) / precision
    assert torch.allclose(found.mean, mean, atol=1e-5)
    assert torch.allclose(found.std, precision.rsqrt(), rtol=1e-4)


@pytest.mark.parametrize("fit_kl", [forward_kl, reverse_kl])
def test_fitting_loss_from_the_method(fit_kl: Callable[[Gaussian, Gaussian], Tensor]) -> None:
    batch, _ = plans(3)
    prior = learned_prior(fit_kl)
    z = torch.randn(3, 7, LATENT, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    head, planner = Normal(*prior.dist(z, batch)), Normal(*batch.plans()[0])
    kl = kl_divergence(planner, head) if fit_kl is forward_kl else kl_divergence(head, planner)
    expected = sum(0.5**t * float((kl[t].mean(-1) * batch.planned[t]).sum()) / 7 for t in range(3))
    assert float(prior.loss(z, batch).detach()) == pytest.approx(expected / 3, rel=1e-12)
    # what stands in the place of a missing plan does not matter
    hole = (~batch.planned).unsqueeze(-1)
    other = Gaussian(*(torch.where(hole, 0.9, field) for field in batch.plan))
    assert torch.equal(prior.loss(z, batch), prior.loss(z, batch._replace(plan=other)))


def test_fitting_steps_and_what_the_policy_sees() -> None:
    batch, _ = plans(4)
    prior = learned_prior(forward_kl, optimizer=partial(ClippedAdam, lr=1e-2))
    z = torch.full((3, 7, LATENT), 0.25, dtype=torch.float64)
    before, best = float(prior.loss(z, batch).detach()), learned_prior(forward_kl)
    fit(best, z, batch)
    for _ in range(250):
        figures = prior.fit(z, batch)
    lowest = float(best.loss(z, batch).detach())
    assert lowest < before
    assert float(figures["prior_loss"]) == pytest.approx(lowest, abs=0.01 * (before - lowest))
    assert not any(field.requires_grad for field in prior.dist(z, batch))
