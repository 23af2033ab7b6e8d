"""Divergences: zero at the prior, and samples average to analytic values (docs/method.md,
section 7, property 6)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.objectives import (
    ANY_BATCH,
    SPEC,
    gaussian_sample,
    log_stds,
    quadrature,
    tensor,
    vectors,
)
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from mppi_zoo.core.math import action_mean, action_sum, gaussian_entropy
from mppi_zoo.core.types import Gaussian, NetworkSizes, PolicySample
from mppi_zoo.networks.policy import ClippedGaussian
from mppi_zoo.objective.divergence import (
    AnalyticKL,
    AnalyticKLFromPrior,
    CrossEntropySample,
    SampledKL,
)

extremes = st.lists(st.floats(-1.0, 1.0), min_size=2, max_size=2).map(tensor)


# those of a policy head and of the planner, and far beyond both
wide_log_stds = st.lists(st.floats(-10.0, 5.0), min_size=2, max_size=2).map(tensor)


@given(mean=extremes, log_std=wide_log_stds, prior_mean=extremes, prior_log_std=wide_log_stds)
@pytest.mark.parametrize("reduce", [action_mean, action_sum])
def test_analytic_kl(
    reduce: Callable[[Tensor], Tensor],
    mean: Tensor,
    log_std: Tensor,
    prior_mean: Tensor,
    prior_log_std: Tensor,
) -> None:
    sample = gaussian_sample(mean, log_std, torch.zeros(1, 1, 2, dtype=torch.float64))
    prior = Gaussian(prior_mean.expand(1, 1, 2), prior_log_std.exp().expand(1, 1, 2))
    p, q = Normal(mean, log_std.exp()), Normal(prior_mean, prior_log_std.exp())
    total = 0.5 if reduce is action_mean else 1.0  # A = 2
    for divergence, expected in (
        (AnalyticKL(reduce), kl_divergence(p, q)),
        (AnalyticKLFromPrior(reduce), kl_divergence(q, p)),
    ):
        value = divergence(sample, prior, ANY_BATCH)
        assert value.shape == (1, 1)
        assert float(value) >= -1e-12
        assert float(value) == pytest.approx(total * float(expected.sum()), rel=1e-9, abs=1e-12)


@given(mean=extremes, log_std=wide_log_stds)
@pytest.mark.parametrize("divergence", [AnalyticKL(), AnalyticKLFromPrior()])
def test_analytic_kl_vanishes_at_the_prior(
    divergence: AnalyticKL | AnalyticKLFromPrior, mean: Tensor, log_std: Tensor
) -> None:
    prior = Gaussian(mean.expand(1, 1, 2), log_std.exp().expand(1, 1, 2))
    leaves = (mean.clone().requires_grad_(), log_std.clone().requires_grad_())
    sample = gaussian_sample(*leaves, torch.zeros(1, 1, 2, dtype=torch.float64))
    value = divergence(sample, prior, ANY_BATCH)
    assert abs(float(value.detach())) < 1e-12
    for gradient in torch.autograd.grad(value.sum(), leaves):
        assert float(gradient.abs().max()) < 1e-12
    # and nowhere else: a step away in either parameter costs something
    for centre, scale in ((mean + 0.1 * log_std.exp(), log_std), (mean, log_std + 0.1)):
        moved = gaussian_sample(centre, scale, sample.noise)
        assert float(divergence(moved, prior, ANY_BATCH)) > 1e-3


def head_sample(mean: Tensor, log_std: Tensor) -> tuple[PolicySample, list[Tensor], Tensor]:
    """The clipped head at one latent under all quadrature nodes; its leaves; the weights."""
    head = ClippedGaussian(NetworkSizes(3, SPEC.action_dim, 8), (-12.0, 4.0)).double()
    noise, weights = quadrature(2)
    z = torch.zeros(len(noise), 1, 3, dtype=torch.float64)
    leaf = torch.cat([torch.atanh(mean), torch.atanh((log_std + 4) / 8)]).requires_grad_()
    last = list(head.net)[-1]
    assert isinstance(last, torch.nn.Linear)
    torch.nn.init.zeros_(last.weight)
    last.bias = torch.nn.Parameter(leaf.detach())
    return head.sample(z, noise.unsqueeze(1)), [last.bias], weights


@given(mean=vectors, log_std=log_stds, prior_mean=vectors, prior_log_std=log_stds)
def test_sampled_kl_averages_to_the_analytic_one(
    mean: Tensor, log_std: Tensor, prior_mean: Tensor, prior_log_std: Tensor
) -> None:
    sample, leaves, weights = head_sample(mean, log_std)
    # with so wide a policy many of the nodes are clipped, and the estimate must not mind
    prior = Gaussian(prior_mean, prior_log_std.exp())
    average = (weights * SampledKL()(sample, prior, ANY_BATCH)[:, 0]).sum()
    exact = AnalyticKL(action_sum)(sample, prior, ANY_BATCH)[0, 0]
    assert float((average - exact).detach()) == pytest.approx(
        0, abs=1e-9 * (1 + float(exact.detach()))
    )
    ours = torch.autograd.grad(average, leaves, retain_graph=True)[0]
    expected = torch.autograd.grad(exact, leaves)[0]
    assert torch.allclose(ours, expected, rtol=1e-8, atol=1e-8)


@given(
    mean=vectors,
    log_std=st.lists(st.floats(-6.0, -3.0), min_size=2, max_size=2).map(tensor),
    prior_mean=vectors,
    prior_log_std=log_stds,
)
def test_sampled_cross_entropy_averages_to_kl_plus_entropy(
    mean: Tensor, log_std: Tensor, prior_mean: Tensor, prior_log_std: Tensor
) -> None:
    sample, leaves, weights = head_sample(mean, log_std)
    assert float(sample.action.detach().abs().max()) < 1  # no node is clipped
    # planner_std raises a std below 0.05, here as in the prior that the KL is taken to
    prior = Gaussian(prior_mean, prior_log_std.exp())
    floored = Gaussian(prior_mean, prior_log_std.exp().clamp(min=0.05))
    average = (weights * CrossEntropySample()(sample, prior, ANY_BATCH)[:, 0]).sum()
    policy = Gaussian(sample.mean[0, 0], sample.std[0, 0])
    exact = AnalyticKL(action_sum)(sample, floored, ANY_BATCH)[0, 0] + gaussian_entropy(policy)
    entropy = Normal(*policy).entropy().sum()
    assert torch.allclose(gaussian_entropy(policy), entropy)
    assert float((average - exact).detach()) == pytest.approx(
        0, abs=1e-9 * (1 + float(exact.detach().abs()))
    )
    ours = torch.autograd.grad(average, leaves, retain_graph=True)[0]
    expected = torch.autograd.grad(exact, leaves)[0]
    assert torch.allclose(ours, expected, rtol=1e-8, atol=1e-8)
