"""The gradient planner: its start, its ascent, its report (docs/method.md, section 4)."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planning.test_mppi import (
    ACTION,
    GAMMA,
    WAVY,
    assert_same,
    mortal_step,
    no_value,
    noisy_value,
    start,
    tanh_policy,
    wavy_step,
)
from support.agents import build, random_batch, update
from torch import Tensor

from mppi_zoo.core.rng import generator_for
from mppi_zoo.core.types import EnvSpec, Gaussian, Step
from mppi_zoo.planning.base import PlanningModel, PlanResult
from mppi_zoo.planning.gradient import GradientNoise, GradientPlanner

seeds = st.integers(0, 10_000)


def narrow_policy(z: Tensor) -> Gaussian:
    return Gaussian(torch.tanh(0.5 * z), torch.full_like(z, 0.1))


def heads(z: Tensor, noise: Tensor) -> Tensor:
    return torch.stack([z[..., 0], -z[..., 0]])


WAVES = WAVY._replace(policy=narrow_policy, values=heads)
MORTAL = WAVES._replace(step=mortal_step)


def draws(planner: GradientPlanner, seed: int, batch: int = 3) -> GradientNoise:
    return planner.draw_noise(batch, ACTION, 5, generator_for(seed, "plan"), torch.float64)


def last_plan(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed + 7)
    return torch.randn(3, 3, ACTION, generator=generator, dtype=torch.float64).tanh()


def worth(model: PlanningModel, z: Tensor, actions: Tensor, noise: GradientNoise) -> Tensor:
    """G of sequences [H, B, n, A] by the definition."""
    state = z[:, None].expand(*actions.shape[1:3], -1)
    total, discount = torch.zeros(actions.shape[1:3]).double(), torch.ones(actions.shape[1:3])
    for action in actions:
        state, reward, further = model.step(state, action)
        total, discount = total + discount * reward, discount * further
    return total + discount * model.value(state, noise.terminal, noise.heads)


def rollouts(z: Tensor, noise: GradientNoise) -> Tensor:
    state, actions = z[:, None].expand(-1, noise.policy.shape[2], -1), []
    for epsilon in noise.policy:
        actions.append(tanh_policy(state, epsilon))
        state = wavy_step(state, actions[-1]).z
    return torch.stack(actions)


@given(seed=seeds)
def test_without_steps_it_is_the_best_rollout(seed: int) -> None:
    planner, z = GradientPlanner(steps=0), start(seed)
    noise = draws(planner, seed)
    result = planner.plan(z, MORTAL, noise, greedy=True)
    actions = rollouts(z, noise)
    value, best = worth(MORTAL, z, actions, noise).max(1)
    assert torch.allclose(result.value, value, atol=1e-12)
    assert torch.allclose(result.mean, actions[:, torch.arange(3), best], atol=1e-12)


@given(seed=seeds, steps=st.integers(1, 6), size=st.sampled_from([0.01, 0.3, 3.0]))
def test_halving_never_falls_below_the_best_start(seed: int, steps: int, size: float) -> None:
    planner, z = GradientPlanner(steps=steps, step_size=size), start(seed)
    noise = draws(planner, seed)
    result = planner.plan(z, MORTAL, noise, greedy=True)
    actions = rollouts(z, noise)
    assert (result.value >= worth(MORTAL, z, actions, noise).max(1).values - 1e-12).all()
    own = worth(MORTAL, z, result.mean.unsqueeze(2).expand(-1, -1, 5, -1), noise)
    assert torch.isclose(own, result.value[:, None], atol=1e-9).any(1).all()
    more = GradientPlanner(steps=steps + 1, step_size=size).plan(z, MORTAL, noise, greedy=True)
    assert (more.value >= result.value).all()


def test_without_halving_a_step_that_is_too_long_stays() -> None:
    z = start(0)
    planners = [GradientPlanner(steps=3, step_size=5.0, halve_on_failure=h) for h in (True, False)]
    noise = draws(planners[0], 0)
    kept, lost = (p.plan(z, WAVES, noise, greedy=True).value for p in planners)
    assert (kept >= lost).all() and (kept > lost + 0.1).any()


@settings(max_examples=20)  # 80 steps of a smooth problem, whatever the target
@given(seed=seeds, target=st.lists(st.floats(-0.8, 0.8), min_size=ACTION, max_size=ACTION))
def test_a_quadratic_return_reaches_its_optimum(seed: int, target: list[float]) -> None:
    centre = torch.tensor(target, dtype=torch.float64)

    def step(z: Tensor, action: Tensor) -> Step:
        reward = -(action - centre - 0.2 * z).square().sum(-1)
        return Step(torch.tanh(0.5 * z + action), reward, torch.full_like(reward, GAMMA))

    model = PlanningModel(step, no_value, tanh_policy, policy=narrow_policy)
    z = start(seed).clamp(-1, 1)

    def distance(steps: int) -> float:
        planner = GradientPlanner(steps=steps, step_size=1.0)
        result = planner.plan(z, model, draws(planner, seed), greedy=True)
        return float(-result.value.min())

    # the best return is 0: every reward can reach its maximum
    assert distance(80) < 1e-3 and distance(80) <= distance(10) <= distance(0)


@given(seed=seeds, steps=st.integers(0, 3), warm=st.booleans())
def test_a_batch_is_its_plans_one_by_one(seed: int, steps: int, warm: bool) -> None:
    planner, z = GradientPlanner(steps=steps, beta=0.5), start(seed)
    noise, previous = draws(planner, seed), last_plan(seed) if warm else None
    together = planner.plan(z, MORTAL, noise, warm_start=previous)
    assert together.action.abs().max() <= 1 and together.mean.abs().max() <= 1
    for row in range(3):
        one = slice(row, row + 1)
        before = None if previous is None else previous[:, one]
        alone = planner.plan(
            z[one], MORTAL, planner.noise_of_states(noise, torch.tensor([row])), warm_start=before
        )
        part = PlanResult(
            together.action[one],
            Gaussian(together.dist.mean[one], together.dist.std[one]),
            together.value[one],
            together.mean[:, one],
        )
        assert_same(alone, part, tolerance=1e-12)


@given(seed=seeds, reuse=st.floats(0.0, 1.0))
def test_starts_mix_the_last_plan_with_the_policy(seed: int, reuse: float) -> None:
    planner, z = GradientPlanner(steps=0, reuse=reuse), start(seed)
    noise, previous = draws(planner, seed), last_plan(seed)
    previous[:, 2] = 0  # this environment's episode begins
    actions, _, _ = planner.begin(
        WAVES, z[:, None], previous, noise, torch.zeros_like(noise.policy)
    )
    state = z[:, None].expand(-1, 5, -1)
    weight = torch.tensor([reuse, reuse, 0.0], dtype=torch.float64)[:, None, None]
    for t, epsilon in enumerate(noise.policy):
        own = tanh_policy(state, epsilon)
        if t < 2:
            own = weight * previous[t + 1][:, None] + (1 - weight) * own
        assert torch.allclose(actions[t], own, atol=1e-12)
        state = wavy_step(state, own).z
    nothing = GradientPlanner(reuse=0.0)
    assert_same(nothing.plan(z, WAVES, noise, warm_start=previous), nothing.plan(z, WAVES, noise))


@given(seed=seeds)
def test_a_step_follows_the_normalised_gradient(seed: int) -> None:
    planner, z = GradientPlanner(step_size=0.2, halve_on_failure=False, beta=0.7), start(seed)
    noise = draws(planner, seed)
    state, _ = planner.ascend(WAVES, z[:, None], torch.zeros_like(last_plan(0)), noise)
    first = rollouts(z, noise).requires_grad_()
    reached = z[:, None].expand(-1, 5, -1)
    for action in first:
        reached = wavy_step(reached, action).z
    ascended = worth(WAVES, z, first, noise) - 0.7 * heads(reached, noise.terminal).std(0)
    (gradient,) = torch.autograd.grad(ascended.sum(), first)
    norm = gradient.square().sum((0, 3), keepdim=True).sqrt()
    expected = (first + 0.2 * gradient / norm).clamp(-1, 1)
    assert torch.allclose(state.actions, expected, atol=1e-6)


@given(seed=seeds)
def test_what_it_reports(seed: int) -> None:
    planner, z = GradientPlanner(), start(seed)
    noise = draws(planner, seed)
    result = planner.plan(z, WAVES, noise)
    greedy = planner.plan(z, WAVES, noise, greedy=True)
    state, _ = planner.ascend(WAVES, z[:, None], torch.zeros_like(last_plan(0)), noise)
    best = state.actions[0, torch.arange(3), state.value.argmax(1)]
    spread = (state.actions[0] - best[:, None]).square().mean(1).sqrt()
    assert torch.equal(result.dist.mean, best) and torch.equal(greedy.action, best)
    assert torch.allclose(result.dist.std, spread.clamp_min(0.1))
    assert torch.allclose(result.action, (best + result.dist.std * noise.action).clamp(-1, 1))
    assert_same(result._replace(action=greedy.action), greedy)
    assert not any(x.requires_grad for x in (result.action, result.value, result.mean))


@pytest.mark.parametrize("steps", [1, 3])
def test_scores_that_are_not_numbers_count_as_zero(steps: int) -> None:
    def value(z: Tensor, noise: Tensor, heads: Tensor) -> Tensor:
        return torch.where(z[..., 0] > 0, math.nan, -1 - noisy_value(z, noise, heads).square())

    planner = GradientPlanner(steps=steps)
    result = planner.plan(start(3), WAVES._replace(value=value), draws(planner, 3))
    assert all(bool(x.isfinite().all()) for x in (result.action, result.value, *result.dist))


def test_a_view_without_the_policy_is_named() -> None:
    planner = GradientPlanner()
    with pytest.raises(ValueError, match="has no `policy`"):
        planner.plan(start(0), WAVY, draws(planner, 0))


@pytest.mark.parametrize("member", ["dream_mpc", "dream_tdmpc2"])
@pytest.mark.parametrize("episodic", [False, True])
def test_an_agent_plans_by_gradients(member: str, episodic: bool) -> None:
    spec = EnvSpec(5, ACTION, 500, episodic)
    agent = build(member, spec, "GradientPlanner.steps=4")
    with torch.no_grad():
        for net in (agent.world_model.reward_net, agent.critic.online):
            list(net.parameters())[-2].normal_(0.0, 0.5)
    batch = random_batch(spec, terminations=episodic)
    update(agent, batch, agent.draw_update_noise(batch, torch.Generator().manual_seed(0)))
    planner: Any = agent.planner
    assert isinstance(planner, GradientPlanner)
    obs, noise = batch.obs[0], agent.draw_plan_noise(16, torch.Generator().manual_seed(1))
    for parameter in agent.world_model.parameters():
        parameter.grad = None
    result = agent.act(obs, noise, greedy=True)
    assert result.action.abs().max() <= 1 and not result.action.requires_grad
    assert all(p.grad is None for p in agent.world_model.parameters())
    z = agent.world_model.encode(obs).detach()
    same, metrics = planner.examine(z, agent.view(agent.networks, None), noise)
    assert torch.equal(same.action, result.action)
    assert float(metrics["ascent_gain"]) > 0.0 and 0.5 < float(metrics["ascent_share"]) <= 1
