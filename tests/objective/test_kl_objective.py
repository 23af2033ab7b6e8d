"""The objective's optimum is known in closed form (docs/method.md, section 7, property 7)."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.objectives import ANY_BATCH, FEW, gaussian_sample, tensor, unscaled, vectors
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from mppi_zoo.core.math import action_mean, action_sum
from mppi_zoo.core.types import Gaussian
from mppi_zoo.objective.divergence import (
    AnalyticKL,
    CrossEntropySample,
    SampledKL,
)
from mppi_zoo.objective.kl_objective import KLObjective, ObjectiveTerms
from mppi_zoo.objective.kl_weight import (
    KLBudget,
)

# noise of +1 and -1 with equal weight integrates quadratics exactly, and a batch is a plain mean
BOTH_SIGNS = tensor([[[1.0, 1.0], [-1.0, -1.0]]])


class Quadratic:
    """Q(a) = -1/2 sum_i c_i (a_i - b_i)^2 and the loss of a Gaussian policy under an objective."""

    def __init__(self, curvature: Tensor, centre: Tensor, prior: Gaussian):
        self.curvature, self.centre = curvature, centre
        self.prior = Gaussian(prior.mean.expand(1, 2, 2), prior.std.expand(1, 2, 2))

    def terms(self, objective: KLObjective, mean: Tensor, log_std: Tensor) -> ObjectiveTerms:
        sample = gaussian_sample(mean, log_std, BOTH_SIGNS)

        def value() -> Tensor:
            return -0.5 * (self.curvature * (sample.action - self.centre).square()).sum(-1)

        weights = objective.lam.weights(0)
        scales = objective.statistics()
        return objective(sample, self.prior, ANY_BATCH, weights, scales, value, value)

    def maximiser(self, lam: float) -> Gaussian:
        """P exp(Q/lam), normalised: precisions add up, means by their precisions."""
        precision = 1 / self.prior.std[0, 0].square()
        total = precision + self.curvature / lam
        mean = (precision * self.prior.mean[0, 0] + self.curvature / lam * self.centre) / total
        return Gaussian(mean, total.rsqrt())

    def optimise(self, objective: KLObjective) -> Gaussian:
        mean = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        log_std = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        solver = torch.optim.LBFGS(
            [mean, log_std],
            max_iter=500,
            line_search_fn="strong_wolfe",
            tolerance_grad=1e-11,
            tolerance_change=1e-15,
        )

        def closure() -> Tensor:
            solver.zero_grad()
            loss = self.terms(objective, mean, log_std).loss
            loss.backward()
            return loss

        solver.step(closure)
        return Gaussian(mean.detach(), log_std.detach().exp())


problems = st.builds(
    lambda c, b, m, s: Quadratic(c, b, Gaussian(m, s.exp())),
    st.lists(st.floats(0.0, 5.0), min_size=2, max_size=2).map(tensor),
    vectors,
    vectors,
    st.lists(st.floats(-1.5, 0.5), min_size=2, max_size=2).map(tensor),
)


lams = st.floats(0.1, 10.0)


REGULARISERS = {
    # the entropy bonus of weight lambda turns the cross-entropy into the KL
    "analytic_sum": (AnalyticKL(action_sum), 1.0, 0.0),
    "analytic_mean": (AnalyticKL(action_mean), 0.5, 0.0),  # lambda/A, A = 2
    "sampled": (SampledKL(), 1.0, 0.0),
    "cross_entropy_with_entropy": (CrossEntropySample(), 1.0, 1.0),
}


@FEW
@given(problem=problems, lam=lams)
@pytest.mark.parametrize("name", list(REGULARISERS))
def test_optimising_reaches_the_closed_form(name: str, problem: Quadratic, lam: float) -> None:
    divergence, share, bonus = REGULARISERS[name]
    objective = unscaled(lam, divergence, bonus * lam)
    found, expected = problem.optimise(objective), problem.maximiser(share * lam)
    assert torch.allclose(found.mean, expected.mean, atol=1e-6)
    assert torch.allclose(found.std, expected.std, rtol=1e-6)
    assert float(objective.value_scale.value) == 1.0


@FEW
@given(problem=problems)
def test_lambda_infinite_reaches_the_prior(problem: Quadratic) -> None:
    found = problem.optimise(unscaled(math.inf, AnalyticKL()))
    assert torch.allclose(found.mean, problem.prior.mean[0, 0], atol=1e-6)
    assert torch.allclose(found.std, problem.prior.std[0, 0], rtol=1e-6)


def test_dual_variable_holds_the_target() -> None:
    prior = Gaussian(tensor([0.2, -0.3]), tensor([0.5, 0.4]))
    problem = Quadratic(tensor([4.0, 2.0]), tensor([-0.6, 0.7]), prior)
    target = 0.3
    budget = KLBudget(target, initial=5.0, lr=0.05)
    objective = unscaled(budget, AnalyticKL(action_sum))
    mean, log_std = (torch.zeros(2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    adam = torch.optim.Adam([mean, log_std], lr=0.02)
    for _ in range(1000):
        adam.zero_grad()
        terms = problem.terms(objective, mean, log_std)
        terms.loss.backward()
        adam.step()
        budget.adapt(terms.divergence.detach().mean())
    policy = Normal(mean.detach(), log_std.detach().exp())
    assert float(kl_divergence(policy, Normal(*prior)).sum()) == pytest.approx(target, rel=1e-3)
    # and lambda is the multiplier whose maximiser has that divergence, found by bisection
    low, high = 1e-3, 1e3
    for _ in range(60):
        middle = math.sqrt(low * high)
        divergence = kl_divergence(Normal(*problem.maximiser(middle)), Normal(*prior)).sum()
        low, high = (middle, high) if float(divergence) > target else (low, middle)
    assert float(budget.lam(0)) == pytest.approx(low, rel=1e-2)
