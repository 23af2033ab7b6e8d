"""Rules of the policy's step: lambda from the gradients (docs/method.md, section 8.2)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from support.agents import build, random_batch, update
from support.objectives import FEW, tensor
from torch import Tensor

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.policy_update import shortest, unit_gradient
from mppi_zoo.core.types import EnvSpec

SPEC = EnvSpec(5, 3, 100)
coordinates = st.floats(-5, 5).map(lambda x: round(x, 3))
vectors = st.lists(coordinates, min_size=3, max_size=3).map(tensor)


@given(one=vectors, other=vectors)
def test_neither_loss_rises_and_nothing_is_shorter(one: Tensor, other: Tensor) -> None:
    g, c = shortest(one, other)
    squared = float(g.dot(g))
    assert float(g.dot(one)) >= squared - 1e-9 and float(g.dot(other)) >= squared - 1e-9
    for share in torch.linspace(0, 1, 41, dtype=torch.float64):
        between = share * one + (1 - share) * other
        assert float(between.dot(between)) >= squared - 1e-9
    assert 0 <= float(c) <= 1


@given(one=vectors, other=vectors)
def test_the_roles_may_swap(one: Tensor, other: Tensor) -> None:
    g, c = shortest(one, other)
    swapped, rest = shortest(other, one)
    torch.testing.assert_close(swapped, g, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(rest, 1 - c, rtol=0, atol=1e-9)


@given(one=vectors, factor=st.floats(0.1, 10))
def test_it_vanishes_where_the_two_oppose(one: Tensor, factor: float) -> None:
    assume(float(one.norm()) > 1e-2)
    g, c = shortest(one, -factor * one)
    assert float(g.norm()) < 1e-12 * (1 + factor) * float(one.norm())
    assert float(c) == pytest.approx(factor / (1 + factor))


@given(one=vectors, other=vectors)
def test_it_vanishes_nowhere_else(one: Tensor, other: Tensor) -> None:
    lengths = float(one.norm() * other.norm())
    assume(lengths > 1e-3 and float(one.dot(other)) > -0.999 * lengths)
    assert float(shortest(one, other).vector.norm()) > 1e-4


@given(one=vectors)
def test_equal_gradients_give_that_gradient(one: Tensor) -> None:
    g, c = shortest(one, one.clone())
    torch.testing.assert_close(g, one, rtol=1e-15, atol=0)
    assert float(c) == 0.5


@given(one=vectors, other=vectors)
def test_unit_gradients_are_bisected(one: Tensor, other: Tensor) -> None:
    assume(float(one.norm()) > 1e-2 and float(other.norm()) > 1e-2)
    units = unit_gradient(one) * one, unit_gradient(other) * other
    assume(float((units[0] - units[1]).norm()) > 1e-3)
    assert float(shortest(*units).c) == pytest.approx(0.5, abs=1e-9)


def agent_of(*params: str) -> POMPCAgent:
    agent = build("pompc_min_norm", SPEC, "ClippedAdam.max_norm=1e12", *params)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # a critic that is 0 everywhere has no gradient
        for net in (agent.critic.online, agent.critic.target_net):
            list(net.parameters())[-2].normal_(0.0, 0.5, generator=generator)
    return agent


@FEW
@given(seed=st.integers(0, 1000))
@pytest.mark.parametrize("scale", ["raw_gradient", "unit_gradient"])
def test_the_implied_lambda_gives_the_same_direction(scale: str, seed: int) -> None:
    ours = agent_of(f"MinNorm.scale=@{scale}")
    batch = random_batch(SPEC, seed=seed)
    noise = ours.draw_update_noise(batch, torch.Generator().manual_seed(seed))
    figures = update(ours, batch, noise)
    c, lam = float(figures["min_norm_c"]), float(figures["implied_lam"])
    assume(1e-3 < c < 1)
    if scale == "raw_gradient":
        assert lam == pytest.approx((1 - c) / c)
    weighted = agent_of("POMPCAgent.policy_update=@WeightedSum()", f"KLObjective.lam={lam}")
    update(weighted, batch, noise)
    one, other = (
        torch.cat([p.grad.flatten() for p in agent.policy.parameters() if p.grad is not None])
        for agent in (ours, weighted)
    )
    torch.testing.assert_close(one / one.norm(), other / other.norm(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("lam", ["0.0", "@Infinite()"])
def test_a_loss_that_is_missing_is_refused(lam: str) -> None:
    with pytest.raises(ValueError, match="MinNorm chooses lambda itself"):
        build("pompc_min_norm", SPEC, f"KLObjective.lam={lam}")


def test_a_compiled_loss_has_both_gradients() -> None:
    """Compiled backward passes may reuse what the forward pass kept; here they run twice.

    The backend makes torch's graphs of the backward pass but no kernels, which would take long.
    """
    eager, traced = agent_of(), agent_of()
    changed: Any = traced
    changed.policy_loss = torch.compile(traced.policy_loss, dynamic=False, backend="aot_eager")
    for seed in range(2):
        batch = random_batch(SPEC, seed=seed)
        noise = eager.draw_update_noise(batch, torch.Generator().manual_seed(seed))
        expected, found = (update(agent, batch, noise) for agent in (eager, traced))
        for name in ("min_norm_c", "policy_grad_norm"):
            torch.testing.assert_close(found[name], expected[name], rtol=1e-6, atol=1e-9)
    for one, other in zip(eager.policy.parameters(), traced.policy.parameters(), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-6, atol=1e-9)
