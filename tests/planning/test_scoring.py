"""How sequences are scored: uncertainty in the score, and its reductions (docs/method.md, 4)."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from planning.test_mppi import (
    GAMMA,
    WAVY,
    assert_same,
    draws,
    mortal_step,
    no_value,
    planner,
    run,
    start,
    tanh_policy,
    wavy_step,
)
from support.agents import build
from torch import Tensor

from mppi_zoo.core.types import EnvSpec, Step
from mppi_zoo.networks.critic import CriticQuery
from mppi_zoo.planning.base import PlanningModel
from mppi_zoo.planning.scoring import CautiousReturn, spread, spread_times_mean

seeds = st.integers(0, 10_000)
MEASURES = {"spread": spread, "times mean": spread_times_mean}


def head_values(z: Tensor, noise: Tensor) -> Tensor:
    """Three heads that know of latent and action."""
    return torch.stack([torch.sin((k + 1) * z).sum(-1) + 0.2 * k * noise.sum(-1) for k in range(3)])


MORTAL = WAVY._replace(step=mortal_step, values=head_values)


@pytest.mark.parametrize("measure", MEASURES)
@given(seed=seeds, horizon=st.integers(1, 4))
def test_without_a_coefficient_nothing_changes(measure: str, seed: int, horizon: int) -> None:
    plain = planner(horizon=horizon)
    cautious = planner(horizon=horizon, scoring=CautiousReturn(0.0, MEASURES[measure]))
    noise, z = draws(cautious, seed), start(seed)
    assert noise.along is not None and noise.along.shape[3] == horizon + 1
    assert_same(run(cautious, MORTAL, z, noise)[0], run(plain, MORTAL, z, noise)[0])


def by_hand(values: list[Tensor], product: bool) -> Tensor:
    """u of one latent each, heads' values [N] given as a list."""
    heads = torch.stack(values)
    deviation = ((heads - heads.mean(0)).square().sum(0) / (len(values) - 1)).sqrt()
    return heads.mean() * deviation if product else deviation


@pytest.mark.parametrize("measure", MEASURES)
@given(seed=seeds, horizon=st.integers(1, 4), coefficient=st.floats(0.0, 1.0))
def test_scores_with_uncertainty(measure: str, seed: int, horizon: int, coefficient: float) -> None:
    scoring = CautiousReturn(coefficient, MEASURES[measure])
    mppi = planner(horizon=horizon, iterations=2, scoring=scoring)
    noise, z = draws(mppi, seed), start(seed)
    assert noise.along is not None
    _, seen = run(mppi, MORTAL, z, noise)
    for number, iteration in enumerate(seen):
        for row in range(len(z)):
            state = z[row].expand(mppi.samples, -1)
            total, discount = torch.zeros(mppi.samples), torch.ones(mppi.samples).double()
            along = noise.along[number, row]

            def uncertainty(state: Tensor, t: int, along: Tensor = along) -> Tensor:
                values = list(head_values(state, along[:, t]))
                return coefficient * by_hand(values, measure == "times mean")

            for t, action in enumerate(iteration.actions[:, row]):
                state, reward, further = mortal_step(state, action)
                total = total + discount * (reward - uncertainty(state, t))
                discount = discount * further
            last = WAVY.value(state, noise.terminal[number, row], noise.heads[number])
            total = total + discount * (last - uncertainty(state, horizon))
            assert torch.allclose(iteration.value[row], total, atol=1e-10)


def test_uncertainty_moves_the_plan() -> None:
    """Without reward, and with heads that agree left of 0 alone, a cautious plan goes left."""

    def step(z: Tensor, action: Tensor) -> Step:
        plain = wavy_step(z, action)
        return plain._replace(reward=torch.zeros_like(plain.reward))

    def first(unsure: float) -> Tensor:
        """The first action where the heads disagree on that side."""

        def heads(z: Tensor, noise: Tensor) -> Tensor:
            far = (unsure * z[..., 0]).clamp_min(0)
            return torch.stack([far, -far])

        model = PlanningModel(step, no_value, tanh_policy, heads)
        mppi = planner(samples=64, temperature=5.0, scoring=CautiousReturn(1.0, spread))
        z = torch.zeros(3, 2, dtype=torch.float64)
        return run(mppi, model, z, draws(mppi, 0))[0].mean[0, :, 0]

    assert (first(1.0) < -0.1).all() and (first(-1.0) > 0.1).all()


@pytest.mark.parametrize("member", ["tdmpc2_cautious", "bmpc_equiv"])
def test_the_view_offers_every_head(member: str) -> None:
    agent = build(member, EnvSpec(5, 2, 100))
    with torch.no_grad():
        list(agent.critic.online.parameters())[-2].normal_(0.0, 0.5)
    model = agent.view(agent.networks, None)
    z = agent.world_model.encode(torch.randn(4, 5, dtype=torch.float64))
    noise = torch.randn(4, 2, dtype=torch.float64)
    assert model.values is not None and model.policy is not None
    values = model.values(z, noise)
    heads = agent.critic.heads
    assert values.shape == (heads, 4)
    for one in range(heads):
        pair = torch.tensor([one, (one + 1) % heads])
        query = CriticQuery(z, lambda: agent.policy.act(z, noise), agent.world_model)
        expected = (values[pair[0]] + values[pair[1]]) / 2
        assert torch.allclose(agent.critic.state_value(query, pair), expected, atol=1e-12)
    assert torch.equal(model.policy(z).std, agent.policy.dist(z).std)


def test_a_view_without_the_heads_is_named() -> None:
    mppi = planner(scoring=CautiousReturn(1.0))
    model = PlanningModel(WAVY.step, WAVY.value, WAVY.propose)
    with pytest.raises(ValueError, match="has no `values`"):
        run(mppi, model, start(0), draws(mppi, 0))


def test_the_discount_is_that_of_the_reward() -> None:
    """A trace's discounts: 1, gamma, gamma^2 … without terminations."""
    trace = CautiousReturn(1.0).trace(
        WAVY, start(0).unsqueeze(1), lambda z, t: z.new_zeros(3, 2, 2), 4
    )
    assert torch.allclose(trace.discounts[0, 0], GAMMA ** torch.arange(4).double())
