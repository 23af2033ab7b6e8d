"""Properties 6 to 8 (docs/method.md, section 7): divergences, the objective's maximiser, the
learned prior.

Expectations are taken by Gauss-Hermite quadrature, which is exact for the polynomials at hand, so
nothing here is a Monte-Carlo estimate. Also: the dual variable, schedules and bounds of lambda.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.agents import build, policy_step, random_batch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from mppi_zoo.core.math import HALF_LOG_2PI, action_mean, action_sum, gaussian_entropy
from mppi_zoo.core.optim import ClippedAdam
from mppi_zoo.core.types import Batch, EnvSpec, Gaussian, NetworkSizes, PolicySample
from mppi_zoo.networks.policy import ClippedGaussian, SquashedGaussian, textbook_entropy
from mppi_zoo.objective.divergence import (
    AnalyticKL,
    AnalyticKLFromPrior,
    CrossEntropySample,
    SampledKL,
)
from mppi_zoo.objective.kl_objective import KLObjective, ObjectiveTerms
from mppi_zoo.objective.kl_weight import (
    ActionScaled,
    Cosine,
    Fixed,
    Infinite,
    KLBudget,
    KLWeight,
    Linear,
    as_kl_weight,
)
from mppi_zoo.objective.prior import LearnedPrior, PriorParts, forward_kl, reverse_kl
from mppi_zoo.objective.sample_weights import AdvantageWeights, SoftmaxValueWeights
from mppi_zoo.objective.scale import RunningScale, UnitScale

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
extremes = st.lists(st.floats(-1.0, 1.0), min_size=2, max_size=2).map(tensor)
# those of a policy head and of the planner, and far beyond both
wide_log_stds = st.lists(st.floats(-10.0, 5.0), min_size=2, max_size=2).map(tensor)

# --- property 6 --------------------------------------------------------------------------------


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


@given(mean=vectors, log_std=log_stds)
def test_textbook_entropy_averages_to_the_entropy_of_the_action(
    mean: Tensor, log_std: Tensor
) -> None:
    # of a squashed Gaussian: the entropy before the squash plus E ln(1 - a^2)
    head = SquashedGaussian(NetworkSizes(3, SPEC.action_dim, 8), (-12.0, 4.0)).double()
    nodes, shares = quadrature(1, 60)
    z = torch.zeros(len(nodes), 3, dtype=torch.float64)
    last = list(head.net)[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.cat([mean, torch.atanh((log_std + 4) / 8)]))
        sample = head.sample(z, nodes.expand(-1, 2))
    base = Normal(mean, log_std.exp()).entropy().sum()
    log_det = torch.log(1 / torch.cosh(mean + log_std.exp() * nodes).square() + 1e-6).sum(-1)
    expected = float(base + (shares * log_det).sum())
    assert float((shares * textbook_entropy(sample)).sum()) == pytest.approx(expected, abs=1e-6)


# --- property 7 --------------------------------------------------------------------------------

# noise of +1 and -1 with equal weight integrates quadratics exactly, and a batch is a plain mean
BOTH_SIGNS = tensor([[[1.0, 1.0], [-1.0, -1.0]]])


def unscaled(lam: Any, divergence: Any, alpha: float = 0.0) -> KLObjective:
    """The objective with S_Q and S_KL fixed at 1."""
    objective = KLObjective(
        lam, divergence, UnitScale(), entropy=textbook_entropy, alpha=alpha, scale_rate=0.0
    ).double()
    objective.lam.bind(2)
    return objective


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


@given(
    initial=st.floats(1e-3, 1e3),
    lr=st.floats(1e-4, 5.0),
    seen=st.lists(st.floats(0.0, 100.0), min_size=1, max_size=30),
)
def test_dual_variable_follows_its_rule(initial: float, lr: float, seen: list[float]) -> None:
    budget, eta = KLBudget(0.5, initial, lr).double(), math.log(initial)
    for divergence in seen:
        budget.adapt(tensor(divergence))
        eta = min(max(eta + lr * (divergence - 0.5), math.log(1e-4)), math.log(1e4))
        lam = float(budget.lam(0))
        assert lam == pytest.approx(math.exp(eta), rel=1e-5)
        assert 1e-4 * (1 - 1e-9) <= lam <= 1e4 * (1 + 1e-9)
    copy = KLBudget().double()
    copy.load_state_dict(budget.state_dict())
    assert torch.equal(copy.log_lam, budget.log_lam)


def test_the_dual_variable_sees_the_raw_divergence() -> None:
    # before lambda, S_KL and the sample weights: the target is in D's own units
    agent = build("pompc_kl_budget", SPEC, "KLBudget.lr=0.5", "KLBudget.target=0.7")
    batch = random_batch(SPEC, 6)
    agent.objective.kl_scale.get_submodule("running").register_buffer("value", tensor(9.0))
    zs = agent.world_model.encode(batch.obs).detach()
    noise = agent.draw_update_noise(batch, torch.Generator().manual_seed(0))
    with torch.no_grad():
        policy = agent.policy.dist(zs[:-1])
    raw = float(kl_divergence(Normal(*policy), Normal(*batch.plan)).mean())
    policy_step(agent, zs, batch, noise)
    assert float(agent.objective.lam.lam(0).log()) == pytest.approx(0.5 * (raw - 0.7), rel=1e-9)


# --- lambda: numbers, schedules, bounds ----------------------------------------------------------


@given(
    start=st.floats(0, 100),
    end=st.floats(0, 100),
    steps=st.integers(1, 10_000),
    at=st.lists(st.floats(0, 1), min_size=2, max_size=6),
)
def test_schedules(start: float, end: float, steps: int, at: list[float]) -> None:
    linear = Linear(start, end, steps).double()
    cosine = Cosine(start, end, steps).double()
    for schedule in (linear, cosine):
        assert float(schedule.lam(0)) == pytest.approx(start)
        for late in (steps, steps + 1, 10 * steps):
            assert float(schedule.lam(late)) == pytest.approx(end)
        values = [float(schedule.lam(int(share * steps))) for share in sorted(at)]
        ordered = sorted(values, reverse=end < start)
        assert values == pytest.approx(ordered)  # monotone
    for share in at:
        step = int(share * steps)
        line = start + (end - start) * step / steps
        wave = end + (start - end) * math.cos(math.pi / 2 * step / steps) ** 2
        assert float(linear.lam(step)) == pytest.approx(line, abs=1e-9)
        assert float(cosine.lam(step)) == pytest.approx(wave, abs=1e-9)
        return_weight, kl_weight = linear.weights(step)
        assert float(return_weight) == 1.0
        assert torch.equal(kl_weight, linear.lam(step))


@given(value=st.floats(0, 1e6), action_dim=st.integers(1, 61))
def test_numbers_become_weights(value: float, action_dim: int) -> None:
    fixed = as_kl_weight(value)
    assert isinstance(fixed, Fixed)
    fixed.double().bind(action_dim)
    assert [float(w) for w in fixed.weights(7)] == [1.0, value]
    scaled = ActionScaled(value, 0.5 * value).double()
    scaled.bind(action_dim)
    medium = 24 <= action_dim <= 48
    expected = (0.5 if medium else 1.0) * value * action_dim
    assert float(scaled.lam(0)) == pytest.approx(expected)
    assert as_kl_weight(scaled) is scaled


def test_infinity_drops_the_return() -> None:
    for infinite in (as_kl_weight(math.inf), Infinite()):
        assert [float(w) for w in infinite.weights(0)] == [0.0, 1.0]
        assert not infinite.uses_return
        with pytest.raises(TypeError, match="no finite lambda"):
            infinite.lam(0)


@pytest.mark.parametrize(
    ("build_weight", "message"),
    [
        (partial(as_kl_weight, -0.1), r"lam = -0.1: expected a number in \[0, inf\)"),
        (partial(as_kl_weight, math.nan), "lam = nan"),
        (partial(as_kl_weight, -math.inf), "lam = -inf"),
        (partial(Fixed, math.inf), "use @Infinite"),
        (partial(ActionScaled, -1.0), "scale = -1.0"),
        (partial(ActionScaled, 1.0, math.nan), "scale = nan"),
        (partial(Linear, -1.0, 1.0, 5), "start = -1.0"),
        (partial(Cosine, 1.0, math.inf, 5), "end = inf"),
        (partial(Linear, 0.0, 1.0, 0), "steps = 0"),
        (partial(KLBudget, 0.0), "must be positive"),
        (partial(KLBudget, 0.5, -1.0), "must be positive"),
        (partial(KLBudget, 0.5, 1.0, 0.0), "must be positive"),
        (partial(unscaled, 1.0, AnalyticKL(), -1e-4), "alpha -0.0001 >= 0"),
        (partial(KLObjective, 1.0, AnalyticKL(), UnitScale(), rho=0.0), "rho 0.0"),
        (partial(KLObjective, 1.0, AnalyticKL(), UnitScale(), rho=1.5), "rho 1.5"),
    ],
)
def test_what_lambda_cannot_be(build_weight: Callable[[], KLWeight], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_weight()


@pytest.mark.parametrize("lam", ["1.0", None, (1.0,), torch.ones(())])
def test_lambda_of_another_type(lam: object) -> None:
    with pytest.raises(TypeError, match="expected a number"):
        as_kl_weight(lam)


# --- running scale and sample weights ------------------------------------------------------------

batches = st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=40).map(tensor)


@given(seen=st.lists(batches, min_size=1, max_size=5), rate=st.floats(0.001, 1.0))
def test_running_scale(seen: list[Tensor], rate: float) -> None:
    scale, expected = RunningScale(rate).double(), 1.0
    for values in seen:
        scale.value.copy_(scale.moved(scale.value, values))
        p5, p95 = np.percentile(values.numpy(), [5, 95])
        expected += rate * (max(p95 - p5, 1.0) - expected)
        assert float(scale.value) == pytest.approx(expected, rel=1e-9)
        assert float(scale.value) >= 1 - 1e-12


@given(
    value=st.lists(st.floats(-100, 100), min_size=6, max_size=6).map(tensor),
    baseline=st.lists(st.floats(-100, 100), min_size=6, max_size=6).map(tensor),
)
def test_sample_weights(value: Tensor, baseline: Tensor) -> None:
    value, baseline = value.view(2, 3).requires_grad_(), baseline.view(2, 3)
    softmax = SoftmaxValueWeights()(value, None)
    # the weights of each t sum to B, so that the mean over the batch is a sum of softmax weights
    assert torch.allclose(softmax.sum(1), tensor([3.0, 3.0]))
    assert torch.allclose(softmax / 3, torch.softmax(value.detach(), 1))
    advantage = AdvantageWeights()(value, baseline)
    with np.errstate(over="ignore"):
        raw = np.exp((value.detach() - baseline).numpy() / 0.3333)
    assert np.allclose(advantage.numpy(), np.clip(raw, 0.1, 10.0))
    assert not softmax.requires_grad and not advantage.requires_grad


# --- property 8 --------------------------------------------------------------------------------

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
    share = 0.5 ** torch.arange(3, dtype=torch.float64)[:, None] * planned
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
    mean = (share * batch.plan.mean).sum((0, 1))
    within = (share * batch.plan.std.square()).sum((0, 1))
    between = (share * (batch.plan.mean - mean).square()).sum((0, 1))
    assert torch.allclose(found.mean, mean, atol=1e-5)
    assert torch.allclose(found.std.square(), within + between, rtol=1e-4)


@FEW
@given(seed=st.integers(0, 10_000))
def test_reverse_fitting_weighs_by_precision(seed: int) -> None:
    batch, share = plans(seed)
    z = torch.full((3, 7, LATENT), 0.25, dtype=torch.float64)
    found = fit(learned_prior(reverse_kl), z, batch)
    precision = (share / batch.plan.std.square()).sum((0, 1))
    mean = (share * batch.plan.mean / batch.plan.std.square()).sum((0, 1)) / precision
    assert torch.allclose(found.mean, mean, atol=1e-5)
    assert torch.allclose(found.std, precision.rsqrt(), rtol=1e-4)


@pytest.mark.parametrize("fit_kl", [forward_kl, reverse_kl])
def test_fitting_loss_from_the_method(fit_kl: Callable[[Gaussian, Gaussian], Tensor]) -> None:
    batch, _ = plans(3)
    prior = learned_prior(fit_kl)
    z = torch.randn(3, 7, LATENT, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    head, planner = Normal(*prior.dist(z, batch)), Normal(*batch.plan)
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
