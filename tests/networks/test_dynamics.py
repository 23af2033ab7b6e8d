"""The ensemble of dynamics: each head is one network, and M = 1 is the single network."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.agents import build, random_batch, update
from torch import Tensor

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.losses import ModelLoss
from mppi_zoo.core.types import EnvSpec, Step
from mppi_zoo.networks.critic import CriticQuery, TargetQuery
from mppi_zoo.networks.dynamics import EnsembleDynamics, SingleDynamics
from mppi_zoo.networks.world_model import WorldModel

SPEC = EnvSpec(5, 2, 100, episodic=True)
ENSEMBLE = "WorldModel.dynamics=@ensemble_dynamics"
TERMS = ("consistency", "reward", "value", "termination")  # in ModelLoss's order
FEW = settings(max_examples=max(4, settings().max_examples // 10))
seeds = st.integers(0, 10_000)


def ensemble(
    member: str, heads: int, seed: int = 0, *params: str, spec: EnvSpec = SPEC
) -> POMPCAgent:
    own = (ENSEMBLE, f"ensemble_dynamics.heads={heads}")
    agent = build(member, spec, *own, *params, seed=seed)
    return disturbed(agent, seed)


@torch.no_grad()
def disturbed(agent: POMPCAgent, seed: int) -> POMPCAgent:
    """Norms with gains and shifts, rewards and values that differ, terminations that happen."""
    generator = torch.Generator().manual_seed(seed)
    for module in (agent.world_model, agent.critic.online):
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.add_((0.3 if "ln" in name or "bias" in name else 0.1) * noise)
    agent.critic.target_net.load_state_dict(agent.critic.online.state_dict())
    return agent


def dynamics(agent: POMPCAgent) -> EnsembleDynamics:
    assert isinstance(agent.world_model.dynamics, EnsembleDynamics)
    return agent.world_model.dynamics


@torch.no_grad()
def copy_head(ensemble: EnsembleDynamics, head: int, single: SingleDynamics) -> None:
    """The parameters of one head into a single network."""
    stacked = dict(ensemble.named_parameters())
    for name, parameter in single.named_parameters():
        parameter.copy_(stacked[f"layers.{name}"][head])


@torch.no_grad()
def single_of(agent: POMPCAgent, member: str, head: int) -> POMPCAgent:
    """The same agent with one head of its dynamics alone."""
    one = build(member, agent.spec)
    for ours, theirs in zip(one.parts, agent.parts, strict=True):
        rest = {n: v for n, v in theirs.state_dict().items() if not n.startswith("dynamics.")}
        ours.load_state_dict(rest, strict=False)
    assert isinstance(one.world_model.dynamics, SingleDynamics)
    copy_head(dynamics(agent), head, one.world_model.dynamics)
    return one


def latents(model: WorldModel, *shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    obs = torch.randn(*shape, SPEC.obs_dim, generator=generator, dtype=torch.float64)
    return model.encode(obs).detach()


def actions(*shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, 2, generator=generator, dtype=torch.float64).tanh()


def same(one: Step, other: Step, exactly: bool = False) -> None:
    for ours, theirs in zip(one, other, strict=True):
        ours = ours.expand_as(theirs)
        assert torch.equal(ours, theirs) if exactly else torch.allclose(ours, theirs, atol=1e-12)


@FEW
@given(seed=seeds, heads=st.integers(1, 4), shared=st.booleans())
def test_each_head_is_one_network(seed: int, heads: int, shared: bool) -> None:
    agent = ensemble("tdmpc2_equiv", heads, seed)
    model = agent.world_model
    z, action = latents(model, 3, 1 if shared else 5), actions(2, 3, 5)
    first = model.step_each(model.spread(z), action[0])
    second = model.step_each(first.z, action[1])
    assert first.z.shape == (heads, 3, 5, model.latent_dim)
    assert first.reward.shape == (1, 3, 5) and second.reward.shape == (heads, 3, 5)
    for head in range(heads):
        one = single_of(agent, "tdmpc2_equiv", head).world_model
        alone = one.step(z, action[0])
        same(Step(first.z[head], first.reward[0], first.discount[head]), alone, heads == 1)
        after = one.step(alone.z, action[1])
        same(Step(*(field[head] for field in second)), after, heads == 1)


@FEW
@given(seed=seeds, heads=st.integers(1, 4), rows=st.integers(1, 9), shared=st.booleans())
def test_heads_take_turns(seed: int, heads: int, rows: int, shared: bool) -> None:
    model = ensemble("tdmpc2_equiv", heads, seed).world_model
    z, action = latents(model, 3, 1 if shared else rows), actions(3, rows)
    turns = model.step(z, action)
    every = model.step_each(model.spread(z), action)
    assert turns.z.shape == (3, rows, model.latent_dim)
    for row in range(rows):
        assert torch.allclose(turns.z[:, row], every.z[row % heads, :, row], atol=1e-12)
        assert torch.equal(turns.discount[:, row], every.discount[row % heads, :, row])
        assert torch.allclose(turns.reward[:, row], every.reward[0, :, row], atol=1e-12)


@FEW
@given(seed=seeds, heads=st.integers(2, 4))
def test_the_losses_are_means_over_heads(seed: int, heads: int) -> None:
    agent = ensemble("tdmpc2_equiv", heads, seed)
    batch = random_batch(SPEC, batch=7, seed=seed, terminations=True)
    noise = agent.draw_update_noise(batch, torch.Generator().manual_seed(seed))
    alone = [single_of(agent, "tdmpc2_equiv", head) for head in range(heads)]
    weights = agent.objective.lam.weights(0)
    for term in ("consistency", "reward", "termination"):
        one, two, three, four = (float(name == term) for name in TERMS)
        loss = ModelLoss(one, two, three, four)
        together = loss(agent.parts, batch, noise, weights)
        each = torch.stack([loss(one.parts, batch, noise, weights).loss for one in alone])
        assert torch.allclose(together.loss, each.mean(), rtol=1e-10)
        assert each.std() > 0
    # critics and policy read window b's roll-out by head b mod M
    zs = together.zs
    for window in range(7):
        own = ModelLoss()(alone[window % heads].parts, batch, noise, weights).zs
        assert torch.allclose(zs[:, window], own[:, window], atol=1e-12)


@pytest.mark.parametrize("member", ["tdmpc2_equiv", "pompc_v"])
def test_one_head_is_the_single_network(member: str) -> None:
    """Losses, gradients and updates to the last bit."""
    one_head = ensemble(member, 1)
    single = single_of(one_head, member, 0)
    for seed in range(3):
        batch = random_batch(SPEC, seed=seed, terminations=True)
        noise = single.draw_update_noise(batch, torch.Generator().manual_seed(seed))
        ours, theirs = (update(agent, batch, noise) for agent in (one_head, single))
        assert {n: float(v) for n, v in ours.items()} == {n: float(v) for n, v in theirs.items()}
    stacked = dict(dynamics(one_head).named_parameters())
    for name, parameter in single.world_model.dynamics.named_parameters():
        assert torch.equal(stacked[f"layers.{name}"][0], parameter), name
    for name, parameter in single.policy.named_parameters():
        assert torch.equal(dict(one_head.policy.named_parameters())[name], parameter), name


@FEW
@given(seed=seeds, heads=st.integers(2, 4))
def test_a_state_values_model_steps_are_means_over_heads(seed: int, heads: int) -> None:
    agent = ensemble("pompc_v", heads, seed)
    batch = random_batch(SPEC, batch=4, seed=seed)
    noise = agent.draw_update_noise(batch, torch.Generator().manual_seed(seed))
    drawn = noise.target_heads
    steps = torch.cat([noise.target_policy] * 2)

    def values(of: POMPCAgent) -> tuple[Tensor, Tensor]:
        z = of.world_model.encode(batch.obs)
        query = CriticQuery(z[:-1], lambda: batch.action, of.world_model)
        q = of.critic.q(query, drawn, noise.baseline_keep)
        q_dropped = of.critic.q(query, drawn, keep)
        target = of.critic.target(TargetQuery(batch, z, of.policy, of.world_model, steps), drawn)
        return torch.stack([q, q_dropped]), target

    keep = (torch.rand(2, 3, 4, agent.critic.mlp_dim) > 0.5).double()
    together = values(agent)
    alone = [values(single_of(agent, "pompc_v", head)) for head in range(heads)]
    for ours, theirs in zip(together, zip(*alone, strict=True), strict=True):
        assert ours.shape[-2:] == (3, 4)
        assert torch.allclose(ours, torch.stack(theirs).mean(0), rtol=1e-9)


def test_heads_learn_apart() -> None:
    agent = ensemble("tdmpc2_equiv", 3)
    before = {name: p.detach().clone() for name, p in dynamics(agent).named_parameters()}
    batch = random_batch(SPEC)
    update(agent, batch, agent.draw_update_noise(batch, torch.Generator().manual_seed(0)))
    for name, parameter in dynamics(agent).named_parameters():
        moved = (parameter - before[name]).flatten(1)
        assert (moved.abs().max(1).values > 0).all(), name
        assert not torch.equal(moved[0], moved[1]), name


def test_an_ensemble_has_a_head() -> None:
    with pytest.raises(ValueError, match="ensemble_dynamics.heads = 0"):
        build("tdmpc2_equiv", SPEC, ENSEMBLE, "ensemble_dynamics.heads=0")
