"""The soft value: the divergence in the critic's target (docs/method.md, section 8.1)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.agents import build, random_batch, update
from support.objectives import FEW, gaussian_sample, unscaled
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.parts import default_dtype
from mppi_zoo.core.math import action_sum
from mppi_zoo.core.types import Batch, EnvSpec, Gaussian, NetworkSizes, PolicySample, Step
from mppi_zoo.networks.critic import QCritic, TargetQuery, VCritic
from mppi_zoo.networks.two_hot import TwoHot
from mppi_zoo.objective.divergence import AnalyticKL
from mppi_zoo.objective.kl_objective import KLObjective
from mppi_zoo.objective.prior import Prior
from mppi_zoo.objective.soft_value import SoftValue, plain_weight

SPEC = EnvSpec(5, 3, 100, episodic=True)
SOFT = "ModelLoss.soft_value=@SoftValue()"
PLAIN = "SoftValue.weight=@plain_weight"
PRIORS = {
    "planner": (),
    "learned": ("POMPCAgent.prior=@LearnedPrior",),
    "lagged": ("POMPCAgent.prior=@LaggedPrior",),
    "stored_action": ("POMPCAgent.prior=@StoredActionPrior",),
    "fresh_planner": ("POMPCAgent.prior=@FreshPlannerPrior", "MPPIPlanner.iterations=1"),
    "uniform": (
        "POMPCAgent.prior=@UniformPrior",
        "KLObjective.divergence=@NegativeEntropy()",
        "KLObjective.kl_scale=@UnitScale()",
    ),
}
CRITICS = ("pompc_replay", "pompc_v")


def make(member: str, *params: str) -> POMPCAgent:
    """An agent whose critics and reward differ from 0, and whose scales differ from 1."""
    agent = build(member, SPEC, *params)
    generator = torch.Generator().manual_seed(1)
    nets = (agent.world_model.reward_net, agent.critic.online, agent.critic.target_net)
    with torch.no_grad():
        for net in nets:
            for parameter in list(net.parameters())[-2:]:
                parameter.normal_(0.0, 0.5, generator=generator)
        agent.objective.value_scale.value.fill_(3.0)
        agent.objective.kl_scale.kept.mul_(1.7 if "running.value" in named(agent) else 1.0)
    return agent


def named(agent: POMPCAgent) -> set[str]:
    return {name for name, _ in agent.objective.kl_scale.named_buffers()}


class Case(NamedTuple):
    batch: Batch
    target: Tensor  # [T, B]
    noise: Tensor  # [n, T, B, A]


def target_of(agent: POMPCAgent) -> Case:
    """The target that the critics are fitted to in a model loss."""
    batch = random_batch(SPEC, 8, terminations=True)
    noise = agent.draw_update_noise(batch, torch.Generator().manual_seed(0))
    critic: Any = agent.critic
    caught, loss = [], critic.loss

    def catching(at: Any, target: Tensor, *rest: Any) -> Tensor:
        caught.append(target)
        return loss(at, target, *rest)

    critic.loss = catching
    agent.model_loss(agent.parts, batch, noise, agent.objective.lam.weights(0))
    del critic.loss
    return Case(batch, caught[0], noise.target_policy)


@pytest.mark.parametrize("prior", list(PRIORS))
@pytest.mark.parametrize("member", CRITICS)
def test_lambda_zero_leaves_every_target_and_update_as_it_is(member: str, prior: str) -> None:
    hard, soft = (make(member, "KLObjective.lam=0.0", *PRIORS[prior], *p) for p in ((), (SOFT,)))
    assert torch.equal(target_of(soft).target, target_of(hard).target)
    batch = random_batch(SPEC, terminations=True)
    for agent in (hard, soft):
        update(agent, batch, agent.draw_update_noise(batch, torch.Generator().manual_seed(2)))
    pairs = zip(hard.critic.parameters(), soft.critic.parameters(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


@pytest.mark.parametrize("prior", [prior for prior in PRIORS if prior != "lagged"])
@pytest.mark.parametrize("member", CRITICS)
def test_a_positive_lambda_moves_the_target(member: str, prior: str) -> None:
    hard, soft = (make(member, *PRIORS[prior], *p) for p in ((), (SOFT,)))
    assert float((target_of(soft).target - target_of(hard).target).abs().max()) > 1e-6


@pytest.mark.parametrize("member", CRITICS)
def test_a_policy_that_is_its_prior_pays_nothing(member: str) -> None:
    # a lagged prior starts as a copy of the policy
    hard, soft = (make(member, *PRIORS["lagged"], "KLObjective.lam=3.0", *p) for p in ((), (SOFT,)))
    assert torch.equal(target_of(soft).target, target_of(hard).target)


@pytest.mark.parametrize("weight", ["scaled_weight", "plain_weight"])
def test_the_stored_plan_of_the_next_observation_counts(weight: str) -> None:
    lam, params = 0.7, ("KLObjective.lam=0.7",)
    hard = make("pompc_replay", *params)
    soft = make("pompc_replay", *params, SOFT, f"SoftValue.weight=@{weight}")
    before, (batch, target, _) = target_of(hard).target, target_of(soft)
    z = soft.world_model.encode(batch.obs[1:])
    policy = Normal(*soft.policy.dist(z))
    plan = Normal(batch.plan.mean[1:], batch.plan.std[1:])
    kl = kl_divergence(policy, plan).mean(-1) * batch.planned[1:]
    kappa = lam * 3.0 / 1.7 if weight == "scaled_weight" else lam
    gamma = soft.world_model.discount
    expected = before - gamma * (1 - batch.terminated) * kappa * kl
    torch.testing.assert_close(target, expected.detach(), rtol=1e-10, atol=1e-12)
    unplanned = ~batch.planned[1:]
    assert unplanned[-1].any() and torch.equal(target[unplanned], before[unplanned])


def test_the_state_value_pays_where_the_state_is() -> None:
    # V(z) holds the divergence at z itself, so that r + gamma V(d(z, a)) is the soft action value
    hard, soft = (make("pompc_v", *p) for p in ((), (SOFT, PLAIN)))
    before, (batch, target, _) = target_of(hard).target, target_of(soft)
    plan, planned = batch.plans()
    policy = Normal(*soft.policy.dist(soft.world_model.encode(batch.obs[:-1])))
    expected = before - kl_divergence(policy, Normal(*plan)).mean(-1) * planned
    torch.testing.assert_close(target, expected.detach(), rtol=1e-10, atol=1e-12)


def test_a_state_value_over_two_steps_pays_at_both() -> None:
    params = (*PRIORS["learned"], "VCritic.target_steps=2", "KLObjective.lam=0.3")
    hard, soft = (make("pompc_v", *params, *p) for p in ((), (SOFT, PLAIN)))
    before, (batch, target, noise) = target_of(hard).target, target_of(soft)
    with torch.no_grad():
        z = soft.world_model.encode(batch.obs[:-1])
        step = soft.world_model.step(z, soft.policy.act(z, noise[0]))

        def kl(z: Tensor) -> Tensor:
            policy, prior = soft.policy.dist(z), soft.prior.dist(z, batch)
            assert prior is not None
            return kl_divergence(Normal(*policy), Normal(*prior)).mean(-1)

        expected = before - 0.3 * (kl(z) + step.discount * kl(step.z))
    torch.testing.assert_close(target, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("entropy", ["scaled_entropy", "textbook_entropy"])
def test_the_uniform_prior_gives_maximum_entropy_targets(entropy: str) -> None:
    params = (*PRIORS["uniform"], "KLObjective.lam=0.2", f"NegativeEntropy.entropy=@{entropy}")
    agent = make("pompc_uniform", *params, SOFT, PLAIN)
    batch, target, noise = target_of(agent)
    with torch.no_grad():
        z = agent.world_model.encode(batch.obs[1:])
        sample = agent.policy.sample(z, noise[0])
        heads = agent.draw_update_noise(batch, torch.Generator().manual_seed(0)).target_heads
        x = torch.cat([z, sample.action], -1)
        q = agent.critic.two_hot.decode(agent.critic.target_net(x, heads)).amin(0)
        log_prob = (
            Normal(sample.mean, sample.std)
            .log_prob(sample.mean + sample.std * sample.noise)
            .sum(-1)
        )
        bonus = -0.2 * log_prob * (3 if entropy == "scaled_entropy" else 1)
        expected = batch.reward + agent.world_model.discount * (1 - batch.terminated) * (q + bonus)
    torch.testing.assert_close(target, expected, rtol=1e-7, atol=1e-7)


class Silent(Prior):
    """A prior of a user's own that reads the batch and says nothing of the next step."""

    def dist(self, z: Tensor, batch: Batch) -> Gaussian:
        return batch.plans()[0]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        (("KLObjective.lam=@Infinite()",), "SoftValue with lambda = infinity"),
        (
            ("KLObjective.divergence=@StoredActionLikelihood()",),
            "divergence StoredActionLikelihood, which reads the step",
        ),
        (
            ("POMPCAgent.critic=@VCritic", "VCritic.target_steps=2"),
            "target_steps = 2 and the prior PlannerPrior",
        ),
    ],
)
def test_what_has_no_soft_value_is_refused(params: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build("pompc_replay", SPEC, SOFT, *params)


def test_a_prior_that_does_not_say_what_comes_next_is_refused() -> None:
    agent = build("pompc_replay", SPEC)
    silent: Any = Silent(None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="Silent, which does not say what it is at the next"):
        SoftValue().check(silent, agent.objective, 1)
    with pytest.raises(TypeError, match="Silent does not say"):
        silent.at(torch.zeros(3, 4, 2), random_batch(SPEC, 4), 1)
    SoftValue().check(build("pompc_uniform", SPEC).prior, agent.objective, 5)


# --- a chain of two states -----------------------------------------------------------------------

SIGNS = torch.tensor([1.0, -1.0], dtype=torch.float64)  # integrate a quadratic exactly
STATES = torch.tensor([0.0, 1.0], dtype=torch.float64)


class Chain(Prior):
    """Two states that follow one another, whatever the action; r = -c/2 (a - b)^2 in each.

    It is also the prior, N(m, s) in each state, and the policy, P exp(r/lam) normalised.
    """

    of_latent = True

    def __init__(self, numbers: list[list[float]], lam: float, discount: float):
        super().__init__(None)  # pyright: ignore[reportArgumentType]
        self.c, self.b, self.m, self.s = torch.tensor(numbers, dtype=torch.float64)
        self.lam, self.discount = lam, discount
        self.value = torch.zeros(2, dtype=torch.float64)  # V of each state, to be found
        precision = self.s**-2 + self.c / lam
        self.mean = (self.m * self.s**-2 + self.b * self.c / lam) / precision
        self.std = precision.rsqrt()

    @staticmethod
    def state(z: Tensor) -> Tensor:
        return z[..., 0].long()

    def reward(self, z: Tensor, action: Tensor) -> Tensor:
        at = self.state(z)
        return -0.5 * self.c[at] * (action[..., 0] - self.b[at]) ** 2

    def dist(self, z: Tensor, batch: Batch) -> Gaussian:
        at = self.state(z)
        return Gaussian(self.m[at, None], self.s[at, None])

    def sample(self, z: Tensor, noise: Tensor) -> PolicySample:
        at = self.state(z)
        return gaussian_sample(self.mean[at, None], self.std[at, None].log(), noise)

    def act(self, z: Tensor, noise: Tensor) -> Tensor:
        return self.sample(z, noise).action

    def spread(self, z: Tensor) -> Tensor:
        return z  # one model alone

    def mean_over_heads(self, x: Tensor) -> Tensor:
        return x

    def step_each(self, z: Tensor, action: Tensor) -> Step:
        return self.step(z, action)

    def step(self, z: Tensor, action: Tensor) -> Step:
        reward = self.reward(z, action)
        return Step(1 - z, reward, torch.full_like(reward, self.discount))

    def soft_values(self) -> Tensor:
        """V of each state: lam ln E_P exp(r/lam) now, and so on: two linear equations."""
        width = 1 + self.c * self.s**2 / self.lam
        now = -0.5 * self.lam * width.log() - 0.5 * self.c * (self.m - self.b) ** 2 / width
        return (now + self.discount * now.flip(0)) / (1 - self.discount**2)


class Table(nn.Module):
    """A critic's network that holds numbers: logits that decode to the chain's values."""

    def __init__(self, chain: Chain, of_actions: bool):
        super().__init__()
        self.chain, self.of_actions, self.two_hot = (chain,), of_actions, TwoHot()

    def forward(self, x: Tensor, heads: Tensor) -> Tensor:
        (chain,) = self.chain
        z = x[..., :1]
        value = chain.value[chain.state(z)]
        if self.of_actions:
            value = chain.reward(z, x[..., 1:]) + chain.discount * chain.value[chain.state(1 - z)]
        logits = self.two_hot.encode(value).log()
        return logits.expand(len(heads), *logits.shape)


def fixed_point(critic: QCritic | VCritic, chain: Chain, objective: KLObjective) -> Tensor:
    """Iterate a critic's target on the chain until nothing changes."""
    z = torch.cartesian_prod(STATES, SIGNS)[:, :1]  # [B, Z]
    noise = torch.cartesian_prod(STATES, SIGNS)[:, 1:].expand(critic.target_steps, 1, 4, 1)
    nothing = z.new_zeros(1, 4)
    batch = random_batch(EnvSpec(1, 1, 10), 4, 1)._replace(reward=nothing, terminated=nothing)
    weights = objective.lam.weights(0)
    model: Any = chain
    soft = SoftValue(plain_weight).cost(model, chain, objective, batch, weights)
    of_actions = isinstance(critic, QCritic)
    holder: Any = critic
    holder.target_net = Table(chain, of_actions)
    query = TargetQuery(batch, torch.stack([1 - z, z]), model, model, noise, soft.cost)
    for _ in range(50):
        if not of_actions:
            query = query._replace(latents=torch.stack([z, z]))
        target = critic.target(query, torch.arange(2))
        value = target / chain.discount if of_actions else target
        chain.value = value.reshape(2, 2).mean(1)  # over the two draws
    return chain.value


numbers = st.lists(st.floats(0.2, 2.0), min_size=2, max_size=2)
means = st.lists(st.floats(-0.8, 0.8), min_size=2, max_size=2)


@FEW
@given(
    numbers=st.tuples(numbers, means, means, numbers),
    lam=st.floats(0.2, 3.0),
    discount=st.floats(0.2, 0.6),
)
@pytest.mark.parametrize("kind", ["Q", "V", "V of one draw of two steps"])
def test_the_chain_reaches_its_closed_form(
    kind: str, numbers: Any, lam: float, discount: float
) -> None:
    chain = Chain(list(numbers), lam, discount)
    objective = unscaled(lam, AnalyticKL(action_sum))
    sizes = NetworkSizes(1, 1, 4)
    steps = 1 if kind == "V" else 2
    with default_dtype(torch.float64):  # the bins' edges too
        critic = QCritic(sizes) if kind == "Q" else VCritic(sizes, target_steps=steps)
        found = fixed_point(critic, chain, objective)
    torch.testing.assert_close(found, chain.soft_values(), rtol=1e-9, atol=1e-9)
    assert math.isfinite(float(chain.value.sum()))
