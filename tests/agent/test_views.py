"""bfloat16 planning: near float32, after every update; views share the agent's tensors."""

from __future__ import annotations

import pytest
import torch
from support.agents import build, build_execution, random_batch, update

from mppi_zoo.agent.execution import Execution
from mppi_zoo.agent.views import Networks, all_critics_view, frozen_view, mean_view
from mppi_zoo.core.types import EnvSpec
from mppi_zoo.planning.base import PlanResult

SPEC = EnvSpec(5, 2, 100)
SHORT = "Execution.planning_precision=@BFloat16Hidden"


def pair() -> tuple[Execution, Execution]:
    """A float32 agent and its twin that plans with bfloat16; values that tell actions apart."""
    both = (
        build_execution("tdmpc2_equiv", SPEC, dtype=torch.float32),
        build_execution("tdmpc2_equiv", SPEC, SHORT, dtype=torch.float32),
    )
    for agent in (execution.agent for execution in both):
        torch.manual_seed(1)
        with torch.no_grad():
            for net in (agent.world_model.reward_net, agent.critic.online):
                list(net.parameters())[-2].normal_(0.0, 0.5)
    return both


def plan(execution: Execution) -> PlanResult:
    generator = torch.Generator().manual_seed(2)
    obs = torch.randn(3, SPEC.obs_dim, generator=generator)
    noise = execution.agent.draw_plan_noise(3, generator)
    return execution.act(obs, noise, greedy=True)


def test_a_plan_in_bfloat16_is_near() -> None:
    exact, short = (plan(execution) for execution in pair())
    assert not torch.equal(exact.value, short.value)
    assert (exact.value - short.value).abs().max() < 0.02 * exact.value.abs().max() + 0.02
    assert (exact.mean - short.mean).abs().mean() < 0.1


def test_short_weights_follow_the_updates() -> None:
    _, short = pair()
    before = plan(short)
    with torch.no_grad():
        # the norms stay: the view shares them
        for layer in list(short.agent.world_model.dynamics):  # pyright: ignore[reportArgumentType]
            layer.weight.add_(0.3 * torch.randn_like(layer.weight))  # pyright: ignore
    after = plan(short)
    assert not torch.allclose(before.value, after.value, atol=1e-3)


def test_only_hidden_layers_are_short() -> None:
    _, short = pair()
    model, critic, policy = short.refreshed_networks()
    for net in (model.dynamics, model.reward_net, policy.net):
        hidden = dict(net[0].named_parameters())  # pyright: ignore[reportIndexIssue]
        assert hidden["weight"].dtype == torch.bfloat16
        assert hidden["ln.weight"].dtype == torch.float32
    for layer in (model.reward_net[-1], policy.net[-1], critic.online.layers[-1]):
        assert next(layer.parameters()).dtype == torch.float32


def test_a_view_shares_and_asks_for_no_gradient() -> None:
    agent = build("bmpc_equiv", SPEC)
    networks = Networks(agent.world_model, agent.critic, agent.policy)
    view = frozen_view(networks)
    batch = random_batch(SPEC)
    update(agent, batch, agent.draw_update_noise(batch, torch.Generator().manual_seed(0)))
    for ours, theirs in zip(networks, view, strict=True):
        for name, tensor in ours.state_dict().items():
            assert torch.equal(tensor, theirs.state_dict()[name]), name
        assert not any(p.requires_grad for p in theirs.parameters())
        pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
        assert all(a.data_ptr() == b.data_ptr() for a, b in pairs)


@pytest.mark.parametrize("member", ["pompc_replay", "pompc_v"])
def test_all_critics_count_alike(member: str) -> None:
    """By the definition: the mean of each pair's value over all pairs, whichever pair is drawn."""
    agent = build(member, SPEC, "VCritic.heads=5")
    torch.manual_seed(3)
    with torch.no_grad():
        list(agent.critic.online.parameters())[-2].normal_(0.0, 0.5)
    networks = Networks(agent.world_model, agent.critic, agent.policy)
    z = agent.world_model.encode(torch.randn(2, 3, SPEC.obs_dim, dtype=torch.float64))
    noise = torch.randn(2, 3, SPEC.action_dim, dtype=torch.float64)
    pairs = torch.combinations(torch.arange(5))
    plain, all_heads = mean_view(networks, None), all_critics_view(networks, None)
    each = torch.stack([plain.value(z, noise, pair) for pair in pairs])
    assert each.std(0).min() > 1e-3
    for pair in pairs:
        torch.testing.assert_close(all_heads.value(z, noise, pair), each.mean(0))
