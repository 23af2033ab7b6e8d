"""Properties 1 to 5 (docs/method.md, section 7): the published members as limits of one objective.

Losses are compared with formulas written out here from docs/method.md, section 5, gradients and
parameters bit by bit where two configurations must do the same arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.agents import build, named_parameters, policy_step, random_batch, update
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.core.rng import generator_for, numpy_generator_for
from mppi_zoo.core.types import Batch, EnvSpec, Gaussian, UpdateNoise
from mppi_zoo.objective.scale import OwnScale
from mppi_zoo.training.reanalysis import Reanalysis
from mppi_zoo.training.replay import Replay

SPEC = EnvSpec(6, 3, 500)
WINDOW, BATCH = 3, 8
UNCLIPPED = "ClippedAdam.max_norm=1e12"  # so that .grad after a step is the raw gradient
FEW = settings(max_examples=max(4, settings().max_examples // 4))


@torch.no_grad()
def awaken(agent: POMPCAgent, seed: int = 0) -> None:
    """Replace the zero last layers of reward and critics: constant values would hide the value
    term, whose gradient they make zero."""
    generator = torch.Generator().manual_seed(seed)
    nets = (agent.world_model.reward_net, agent.critic.online, agent.critic.target_net)
    for net in nets:
        for parameter in list(net.parameters())[-2:]:
            parameter.normal_(0.0, 0.5, generator=generator)


def make(
    member: str,
    *params: str,
    spec: EnvSpec = SPEC,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> POMPCAgent:
    agent = build(member, spec, *params, seed=seed, dtype=dtype)
    awaken(agent, seed)
    return agent


class Trace(NamedTuple):
    """What n updates left behind."""

    losses: list[Tensor]
    state: dict[str, Tensor]  # parameters, their last gradients, the running scale of Q


def run_updates(agent: POMPCAgent, count: int = 3, seed: int = 0) -> Trace:
    generator = generator_for(seed, "update")
    losses = []
    for number in range(count):
        batch = random_batch(agent.spec, BATCH, WINDOW, seed=seed + number)
        noise = agent.draw_update_noise(batch, generator)
        losses.append(update(agent, batch, noise, number)["policy_loss"])
    state = {}
    for name, parameter in named_parameters(agent):
        state[name] = parameter.detach()
        if parameter.grad is not None:
            state[f"{name} gradient"] = parameter.grad
    state["scale"] = agent.objective.value_scale.value
    return Trace(losses, state)


def assert_identical(ours: Trace, reference: Trace) -> None:
    assert ours.state.keys() == reference.state.keys()
    assert any(name.startswith("pi.") and name.endswith("gradient") for name in ours.state)
    for loss, expected in zip(ours.losses, reference.losses, strict=True):
        assert torch.equal(loss, expected)
    for name, value in ours.state.items():
        assert torch.equal(value, reference.state[name]), name


def largest_difference(ours: Trace, reference: Trace) -> float:
    pairs = ((value, reference.state[name]) for name, value in ours.state.items())
    return max(float((a - b).abs().max()) for a, b in pairs)


# --- property 1 --------------------------------------------------------------------------------

PRIORS = {
    "uniform": ("POMPCAgent.prior=@UniformPrior",),
    "planner": ("POMPCAgent.prior=@PlannerPrior",),
    "learned_forward": ("POMPCAgent.prior=@LearnedPrior", "LearnedPrior.fit_kl=@forward_kl"),
    "learned_reverse": ("POMPCAgent.prior=@LearnedPrior", "LearnedPrior.fit_kl=@reverse_kl"),
    "lagged": ("POMPCAgent.prior=@LaggedPrior",),
    "stored_action": ("POMPCAgent.prior=@StoredActionPrior",),
    "fresh_planner": ("POMPCAgent.prior=@FreshPlannerPrior", "MPPIPlanner.iterations=2"),
}
WITHOUT_PRIOR = ("NegativeEntropy", "StoredActionLikelihood")
DIVERGENCES = (
    *WITHOUT_PRIOR,
    "AnalyticKL",
    "AnalyticKLFromPrior",
    "SampledKL",
    "CrossEntropySample",
    "SquaredError",
)
PAIRS = [
    (prior, divergence)
    for prior in PRIORS
    for divergence in DIVERGENCES
    if prior != "uniform" or divergence in WITHOUT_PRIOR
]


def with_prior(
    prior: str, divergence: str, *params: str, dtype: torch.dtype = torch.float64
) -> POMPCAgent:
    return make(
        "tdmpc2_equiv",
        *PRIORS[prior],
        f"KLObjective.divergence=@{divergence}()",
        "KLObjective.kl_scale=@OwnScale()",
        *params,
        dtype=dtype,
    )


@pytest.fixture(scope="module")
def tdmpc2() -> Trace:
    return run_updates(make("tdmpc2_equiv"))


@pytest.mark.parametrize(("prior", "divergence"), PAIRS)
def test_lambda_zero_is_tdmpc2_whatever_the_prior(
    tdmpc2: Trace, prior: str, divergence: str
) -> None:
    assert_identical(run_updates(with_prior(prior, divergence)), tdmpc2)


@pytest.mark.parametrize(("prior", "divergence"), PAIRS)
def test_a_positive_lambda_is_not_tdmpc2(tdmpc2: Trace, prior: str, divergence: str) -> None:
    # else the test above would also pass with a divergence that is never applied
    agent = with_prior(prior, divergence, "KLObjective.lam=0.1")
    assert largest_difference(run_updates(agent), tdmpc2) > 1e-8


@pytest.mark.parametrize(
    "params",
    [
        ("KLObjective.lam=@Linear()", "Linear.start=0", "Linear.end=0", "Linear.steps=5"),
        ("KLObjective.lam=@ActionScaled()", "ActionScaled.scale=0"),
        ("KLObjective.kl_scale=@ValueScale()",),
        ("KLObjective.kl_scale=@GatedValueScale()", "GatedValueScale.threshold=0.0"),
        ("KLObjective.sample_weights=@SoftmaxValueWeights()",),
        ("AnalyticKL.reduce=@action_sum",),
        ("CrossEntropySample.std=@policy_std", "KLObjective.divergence=@CrossEntropySample()"),
    ],
    ids=lambda params: params[0].split("=")[-1],
)
def test_lambda_zero_is_tdmpc2_whatever_weighs_the_divergence(
    tdmpc2: Trace, params: tuple[str, ...]
) -> None:
    assert_identical(run_updates(with_prior("planner", "AnalyticKL", *params)), tdmpc2)


def test_lambda_zero_and_reanalysis_is_tdmpc2() -> None:
    # re-planning draws from a generator of its own and writes nothing but plans
    plain = make("tdmpc2_equiv", dtype=torch.float32)
    refreshed = with_prior("planner", "AnalyticKL", dtype=torch.float32)
    reference = updates_from_replay(plain, filled_replay(), None)
    ours = updates_from_replay(refreshed, filled_replay(), Reanalysis(2, 3))
    for figures, expected in zip(ours, reference, strict=True):
        assert torch.equal(figures["policy_loss"], expected["policy_loss"])
    expected = dict(named_parameters(plain))
    for name, parameter in named_parameters(refreshed):
        assert torch.equal(parameter, expected[name]), name


# --- the policy's loss written out from docs/method.md --------------------------------------------


class Draw(NamedTuple):
    """The squashed or clipped policy at the latents used (docs/method.md, section 3)."""

    mean: Tensor  # m
    raw: Tensor  # s
    std: Tensor
    action: Tensor
    log_u: Tensor  # log N(u; m, sigma)


def draw(agent: POMPCAgent, z: Tensor, noise: Tensor, squashed: bool) -> Draw:
    mean, raw = agent.policy.net(z).split(agent.spec.action_dim, -1)
    low, high = (-10.0, 2.0) if squashed else (-3.0, 1.0)
    std = torch.exp(low + (high - low) * (torch.tanh(raw) + 1) / 2)
    centre = mean if squashed else torch.tanh(mean)
    u = centre + noise * std
    # the density is a function of the noise alone: its own gradient runs through sigma
    log_u = Normal(torch.zeros_like(std), std).log_prob(noise * std).sum(-1)
    return Draw(mean, raw, std, torch.tanh(u) if squashed else u.clamp(-1, 1), log_u)


def q_values(
    agent: POMPCAgent, z: Tensor, action: Tensor, heads: Tensor, keep: Tensor | None
) -> Tensor:
    """Both drawn heads, [2, ...]."""
    logits = agent.critic.online(torch.cat([z, action], -1), heads, keep)
    bins = torch.linspace(-10, 10, 101, dtype=logits.dtype)
    decoded = (logits.exp() / logits.exp().sum(-1, keepdim=True) * bins).sum(-1)
    return torch.sign(decoded) * (torch.exp(decoded.abs()) - 1)


def moved_scale(before: float, values: Tensor) -> float:
    p5, p95 = np.percentile(values.detach().numpy(), [5, 95])
    return before + 0.01 * (max(p95 - p5, 1.0) - before)


def released_entropy(policy: Draw, noise: Tensor) -> Tensor:
    residual = (-noise.square() / 2 - policy.std.log()).sum(-1)
    log_det = ((1 - policy.action**2).clamp(min=0) + 1e-6).log().sum(-1)
    return -(noise.shape[-1] * (residual - 0.5 * math.log(2 * math.pi)) - log_det)


def released_log_prob(error: Tensor, std: Tensor) -> Tensor:
    residual = (-error.square() / 2 - std.log()).sum(-1)
    return error.shape[-1] * (residual - 0.5 * math.log(2 * math.pi))


def averaged(terms: Tensor) -> Tensor:
    """-(1/T') sum_t rho^t mean_batch of [T', B], rho = 0.5."""
    weighted = torch.stack([0.5**t * term.mean() for t, term in enumerate(terms)])
    return -weighted.mean()


class Case(NamedTuple):
    agent: POMPCAgent
    zs: Tensor
    batch: Batch
    noise: UpdateNoise
    scale: float  # S_Q before the update


def case(member: str, seed: int, scale: float, action_dim: int, *params: str) -> Case:
    spec = EnvSpec(6, action_dim, 500)
    agent = make(member, UNCLIPPED, *params, spec=spec, seed=seed)
    agent.objective.value_scale.value.fill_(scale)
    batch = random_batch(spec, BATCH, WINDOW, seed=seed)
    noise = agent.draw_update_noise(batch, generator_for(seed, "update"))
    return Case(agent, agent.world_model.encode(batch.obs).detach(), batch, noise, scale)


def check_policy_step(case: Case, expected: Tensor, scale: float | None) -> None:
    """Loss, gradient and running scale of one policy step."""
    parameters = list(case.agent.policy.parameters())
    gradients = torch.autograd.grad(expected, parameters)
    figures = policy_step(case.agent, case.zs, case.batch, case.noise)
    assert float(figures["policy_loss"]) == pytest.approx(
        float(expected.detach()), rel=1e-9, abs=1e-9
    )
    for parameter, gradient in zip(parameters, gradients, strict=True):
        # 1e-8 in the rounding of the scaled entropy, whose quotient is -A l_u up to that
        tolerance = 1e-7 * (1 + float(gradient.abs().max()))
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, gradient, rtol=1e-7, atol=tolerance)
    if scale is not None:
        after = float(case.agent.objective.value_scale.value)
        assert after == pytest.approx(scale, rel=1e-9)


seeds = st.integers(0, 10_000)
# on both sides of the gate at 2, where the update moves S_Q across it now and then
scales = st.one_of(st.floats(1.0, 5.0), st.floats(1.98, 2.02))
action_dims = st.one_of(st.integers(1, 6), st.sampled_from([23, 24, 48, 49, 61]))


@FEW
@given(seed=seeds, scale=scales)
def test_tdmpc2_loss_from_the_method(seed: int, scale: float) -> None:
    c = case("tdmpc2_equiv", seed, scale, 3, *PRIORS["planner"])
    policy = draw(c.agent, c.zs, c.noise.policy, squashed=True)
    q = q_values(c.agent, c.zs, policy.action, c.noise.policy_heads, c.noise.policy_keep).mean(0)
    after = moved_scale(scale, q[0])
    check_policy_step(c, averaged(q / after - 1e-4 * 3 * policy.log_u), after)


# --- property 2 --------------------------------------------------------------------------------


def filled_replay(seed: int = 0) -> Replay:
    """Two lanes of two episodes, every other step planned."""
    replay = Replay(SPEC, 80, WINDOW, num_envs=2)
    generator = torch.Generator().manual_seed(seed)

    def normal(dim: int) -> Tensor:
        return torch.randn(2, dim, generator=generator)

    for step in range(30):
        plan = Gaussian(normal(3).tanh(), normal(3).sigmoid() + 0.05) if step % 2 else None
        replay.add(
            normal(6),
            normal(3).tanh(),
            normal(1)[:, 0],
            torch.zeros(2),
            np.full(2, step == 17),
            normal(6),
            plan,
        )
    return replay


def updates_from_replay(
    agent: POMPCAgent, replay: Replay, reanalysis: Reanalysis | None, count: int = 4
) -> list[dict[str, Tensor]]:
    sampling, planning = numpy_generator_for(0, "replay"), generator_for(0, "reanalysis")
    drawing = generator_for(0, "update")
    figures = []
    for number in range(count):
        batch = replay.sample(BATCH, sampling)
        if reanalysis is not None:
            batch = reanalysis.refresh(Execution(agent), replay, batch, number, planning)
        noise = agent.draw_update_noise(batch, drawing)
        figures.append(update(agent, batch, noise, number))
    return figures


def copy_networks(source: POMPCAgent, target: POMPCAgent) -> None:
    for name in ("world_model", "policy", "critic"):
        getattr(target, name).load_state_dict(getattr(source, name).state_dict())


@pytest.mark.parametrize("pair", ["pair_mean", "pair_min"])
def test_lambda_infinite_is_bmpc_whatever_the_pair_of_values(pair: str) -> None:
    params = ("KLObjective.lam=@Infinite()", f"VCritic.policy_pair=@{pair}")
    bmpc = make("bmpc_equiv", seed=1, dtype=torch.float32)
    pompc = make("pompc_v", *params, seed=2, dtype=torch.float32)
    copy_networks(bmpc, pompc)
    replays = [filled_replay(), filled_replay()]
    reference = updates_from_replay(bmpc, replays[0], Reanalysis(2, 3))
    ours = updates_from_replay(pompc, replays[1], Reanalysis(2, 3))
    for figures, expected in zip(ours, reference, strict=True):
        assert figures.keys() == expected.keys()
        assert all(torch.equal(figures[name], expected[name]) for name in figures)
    expected = dict(named_parameters(bmpc))
    for name, parameter in named_parameters(pompc):
        assert torch.equal(parameter, expected[name]), name
    for name, column in replays[0].columns.items():
        assert torch.equal(column, replays[1].columns[name]), name
    fresh = filled_replay()
    assert not torch.equal(fresh.columns["plan_mean"], replays[0].columns["plan_mean"])


def test_a_finite_lambda_is_not_bmpc() -> None:
    agents = [make(name, seed=1, dtype=torch.float32) for name in ("bmpc_equiv", "pompc_v")]
    copy_networks(*agents)
    losses = [updates_from_replay(a, filled_replay(), None)[-1]["policy_loss"] for a in agents]
    assert abs(float(losses[0] - losses[1])) > 1e-6


def step_from(agent: POMPCAgent, policy: dict[str, Tensor], zs: Tensor, batch: Batch) -> Trace:
    """One policy step from given policy parameters, latents, batch and noise."""
    agent.policy.load_state_dict(policy)
    generator = torch.Generator().manual_seed(5)
    noise = agent.draw_update_noise(batch, generator_for(0, "update"))
    epsilon = torch.randn(noise.policy.shape, generator=generator, dtype=torch.float64)
    figures = policy_step(agent, zs, batch, noise._replace(policy=epsilon))
    state = {n: p.detach().clone() for n, p in agent.policy.named_parameters()}
    for name, parameter in agent.policy.named_parameters():
        assert parameter.grad is not None
        state[f"pi.{name} gradient"] = parameter.grad
    return Trace([figures["policy_loss"]], state)


def test_lambda_infinite_never_reads_the_critic() -> None:
    bmpc = make("bmpc_equiv")
    policy = {name: value.clone() for name, value in bmpc.policy.state_dict().items()}
    batch = random_batch(SPEC, BATCH, WINDOW)
    zs = bmpc.world_model.encode(batch.obs).detach()
    reference = step_from(bmpc, policy, zs, batch)
    infinite = "KLObjective.lam=@Infinite()"
    others = [
        make("pompc_v", infinite, seed=3),
        make("pompc_replay", infinite, seed=4),  # a Q critic of five heads
        make("pompc_replay", infinite, "QCritic.policy_pair=@pair_min", seed=5),
        make("bmpc_equiv", "VCritic.target_steps=2", seed=6),
    ]
    for part in (others[0].critic, others[1].critic, others[3].world_model):
        with torch.no_grad():
            for parameter in part.parameters():
                parameter.fill_(math.nan)
    for other in others:
        assert_identical(step_from(other, policy, zs, batch), reference)


@FEW
@given(seed=seeds, own_scale=st.floats(1.0, 30.0))
def test_bmpc_loss_from_the_method(seed: int, own_scale: float) -> None:
    c = case("bmpc_equiv", seed, 1.0, 3)
    own = c.agent.objective.kl_scale
    assert isinstance(own, OwnScale)
    own.running.value.fill_(own_scale)
    policy = draw(c.agent, c.zs[:-1], c.noise.policy[:-1], squashed=False)
    ours = Normal(torch.tanh(policy.mean), policy.std)
    kl = kl_divergence(ours, Normal(*c.batch.plans()[0])).mean(-1)
    after = moved_scale(own_scale, kl[0])
    # without a value scale: BMPC never evaluates its critic here
    check_policy_step(c, averaged(-kl / after - 1e-4 * 3 * policy.log_u), scale=1.0)
    assert float(own.running.value) == pytest.approx(after, rel=1e-9)


# --- property 3 --------------------------------------------------------------------------------


@FEW
@given(seed=seeds, scale=scales, action_dim=action_dims)
def test_tdmpc_square_loss_from_the_method(seed: int, scale: float, action_dim: int) -> None:
    c = case("tdmpc_square_equiv", seed, scale, action_dim)
    # half of the planners surer than the floor of 0.05
    stored, _ = c.batch.plans()
    plan = Gaussian(stored.mean, stored.std * 0.1)
    c = c._replace(batch=c.batch._replace(plan=plan))
    z, noise = c.zs[:-1], c.noise.policy[:-1]
    keep = None if c.noise.policy_keep is None else c.noise.policy_keep[:, :-1]
    policy = draw(c.agent, z, noise, squashed=True)
    q = q_values(c.agent, z, policy.action, c.noise.policy_heads, keep).mean(0)
    after = moved_scale(scale, q[0])
    std = torch.maximum(plan.std, torch.tensor(0.05, dtype=torch.float64))
    cross_entropy = -released_log_prob((policy.action - plan.mean) / std, std)
    gate = 1 / after if after > 2 else 0.0
    gain = q / after - action_dim / 61 * gate * cross_entropy
    check_policy_step(c, averaged(gain + 1e-4 * released_entropy(policy, noise)), after)


def boom_lambda(action_dim: int) -> float:
    return action_dim / (1000 if 24 <= action_dim <= 48 else 50)


def boom_loss(c: Case, weights_of: Callable[[Tensor], Tensor]) -> tuple[Tensor, float]:
    z, noise, action_dim = c.zs[:-1], c.noise.policy[:-1], c.agent.spec.action_dim
    keep = None if c.noise.policy_keep is None else c.noise.policy_keep[:, :-1]
    policy = draw(c.agent, z, noise, squashed=True)
    q = q_values(c.agent, z, policy.action, c.noise.policy_heads, keep).min(0).values
    after = moved_scale(c.scale, q[0])
    std = torch.maximum(policy.std.detach(), torch.tensor(0.05, dtype=torch.float64))
    cross_entropy = -released_log_prob((policy.action - c.batch.plans()[0].mean) / std, std)
    gate = 1 / after if after > 2 else 0.0
    gain = averaged(q / after + 1e-4 * released_entropy(policy, noise))
    weighted = (weights_of((q / after).detach()) * cross_entropy).sum(1)  # summed, not averaged
    cost = torch.stack([0.5**t * term for t, term in enumerate(weighted)]).mean()
    return gain + boom_lambda(action_dim) * gate * cost, after


@FEW
@given(seed=seeds, scale=scales, action_dim=action_dims)
def test_boom_loss_from_the_method(seed: int, scale: float, action_dim: int) -> None:
    c = case("boom_equiv", seed, scale, action_dim)
    expected, after = boom_loss(c, lambda q: q.exp() / q.exp().sum(1, keepdim=True))
    check_policy_step(c, expected, after)


@pytest.mark.parametrize("scale", [1.5, 4.0])
def test_the_gate_drops_the_prior_up_to_a_scale_of_two(scale: float) -> None:
    steps = []
    for lam in (0.0, 1.0):
        c = case("tdmpc_square_equiv", 0, scale, 3, f"KLObjective.lam={lam}")
        policy_step(c.agent, c.zs, c.batch, c.noise)
        steps.append([p.grad for p in c.agent.policy.parameters()])
    same = all(torch.equal(a, b) for a, b in zip(*steps, strict=True))
    assert same == (scale < 2)


# --- property 4 --------------------------------------------------------------------------------

weights = st.floats(0.0, 1.0)


@FEW
@given(lam=weights, alpha=weights, seed=st.integers(0, 20))
@pytest.mark.parametrize("entropy", ["scaled_entropy", "residual_entropy", "textbook_entropy"])
@pytest.mark.parametrize("member", ["pompc_uniform", "tdmpc2_equiv"])
def test_uniform_prior_is_entropy_weight(
    member: str, entropy: str, lam: float, alpha: float, seed: int
) -> None:
    traces = []
    for weight, bonus in ((lam, alpha), (0.0, lam + alpha)):
        agent = make(
            member,
            f"KLObjective.lam={weight}",
            f"KLObjective.alpha={bonus}",
            f"KLObjective.entropy=@{entropy}",
            f"NegativeEntropy.entropy=@{entropy}",
            UNCLIPPED,
            seed=seed,
        )
        traces.append(run_updates(agent, 1, seed))
    first, second = traces
    assert float(first.losses[0]) == pytest.approx(float(second.losses[0]), rel=1e-10, abs=1e-10)
    # the gradients agree to rounding, and Adam's first step divides them by their own size
    assert largest_difference(first, second) < 1e-7


def test_the_weight_of_the_entropy_matters() -> None:
    traces = [
        run_updates(make("pompc_uniform", f"KLObjective.lam={lam}", UNCLIPPED), 1)
        for lam in (0.1, 0.11)
    ]
    assert largest_difference(*traces) > 1e-4


# --- property 5 --------------------------------------------------------------------------------

LIMIT_MEMBERS = {
    "replay": ("pompc_replay",),
    "v": ("pompc_v",),
    "adaptive": ("pompc_adaptive_fkl",),
    "reverse_direction": ("pompc_replay", "KLObjective.divergence=@AnalyticKLFromPrior()"),
    "tdmpc_square": ("tdmpc_square_equiv",),
    "boom": ("boom_equiv",),
    "bc_sac": ("bc_sac_mpc",),
}


def direction(name: str, lam: str, seed: int) -> Tensor:
    """Gradient of the policy's loss divided by its norm, with alpha = 0."""
    member, *params = LIMIT_MEMBERS[name]
    params = [*params, "KLObjective.alpha=0.0", f"KLObjective.lam={lam}"]
    c = case(member, seed, 3.0, 3, *params)
    policy_step(c.agent, c.zs, c.batch, c.noise)
    flat = torch.cat([p.grad.flatten() for p in c.agent.policy.parameters() if p.grad is not None])
    assert float(flat.norm()) > 0
    return flat / flat.norm()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", list(LIMIT_MEMBERS))
def test_limits_of_lambda(name: str, seed: int) -> None:
    zero, infinite = direction(name, "0.0", seed), direction(name, "@Infinite()", seed)
    assert float((zero - infinite).norm()) > 0.05
    for limit, sign in ((infinite, 1), (zero, -1)):
        near = [float((direction(name, f"1e{sign * k}", seed) - limit).norm()) for k in (5, 7)]
        assert near[0] < 0.02
        # the other term's share falls in inverse proportion: a factor of 100
        assert near[1] == pytest.approx(near[0] / 100, rel=0.1, abs=1e-9)
