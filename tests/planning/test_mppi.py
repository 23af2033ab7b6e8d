"""Property 9 (docs/method.md, section 7): the planner, and the rules that it follows
(docs/method.md, section 4).

Most models here are closed-form functions of latent and action, computed elementwise, so that a
candidate's score does not depend on its place in a batch and results can be compared bit by bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.agents import build
from torch import Tensor

from mppi_zoo.core.rng import generator_for
from mppi_zoo.core.types import EnvSpec, Step
from mppi_zoo.planning.base import PlanningModel, PlanResult
from mppi_zoo.planning.mppi import MPPIPlanner, PlanIteration
from mppi_zoo.planning.mppi_noise import MPPINoise

GAMMA = 0.9
ACTION = 2
FEW = settings(max_examples=max(4, settings().max_examples // 3))
seeds = st.integers(0, 10_000)


def no_value(z: Tensor, noise: Tensor, heads: Tensor) -> Tensor:
    return z.new_zeros(z.shape[:-1])


def noisy_value(z: Tensor, noise: Tensor, heads: Tensor) -> Tensor:
    return torch.sin(3 * z).sum(-1) + 0.3 * noise.sum(-1) + 0.1 * heads[0] - 0.2 * heads[1]


def tanh_policy(z: Tensor, noise: Tensor) -> Tensor:
    return torch.tanh(0.5 * z + noise)


def wavy_step(z: Tensor, action: Tensor) -> Step:
    """A rugged reward; z has as many entries as the action."""
    reward = (torch.sin(5 * action + z) - 0.3 * action.square()).sum(-1)
    return Step(torch.tanh(z + 0.7 * action), reward, torch.full_like(reward, GAMMA))


WAVY = PlanningModel(wavy_step, noisy_value, tanh_policy)


def planner(**sizes: Any) -> MPPIPlanner:
    defaults: dict[str, Any] = {"iterations": 3, "samples": 24, "elites": 6, "policy_samples": 4}
    return MPPIPlanner(**(defaults | sizes))


def start(seed: int, batch: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, ACTION, generator=generator, dtype=torch.float64)


def draws(planner: MPPIPlanner, seed: int, batch: int = 3) -> MPPINoise:
    return planner.draw_noise(batch, ACTION, 5, generator_for(seed, "plan"), torch.float64)


def run(
    planner: MPPIPlanner, model: PlanningModel, z: Tensor, noise: MPPINoise, **options: Any
) -> tuple[PlanResult, list[PlanIteration]]:
    seen: list[PlanIteration] = []
    return planner.plan(z, model, noise, on_iteration=seen.append, **options), seen


def leaves(result: PlanResult) -> dict[str, Tensor]:
    return {
        "action": result.action,
        "dist.mean": result.dist.mean,
        "dist.std": result.dist.std,
        "value": result.value,
        "mean": result.mean,
    }


def assert_same(first: PlanResult, second: PlanResult, tolerance: float = 0.0) -> None:
    expected = leaves(second)
    for name, value in leaves(first).items():
        assert torch.allclose(value, expected[name], rtol=0, atol=tolerance), name


# --- equivariance and batching -------------------------------------------------------------------


@given(seed=seeds, horizon=st.integers(1, 4))
def test_permuting_samples_changes_nothing(seed: int, horizon: int) -> None:
    mppi = planner(horizon=horizon)
    noise, z = draws(mppi, seed), start(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    proposals = mppi.policy_samples
    drawn = mppi.samples - proposals
    # one order for the proposals, which stay for the whole plan, another in each iteration
    first = torch.randperm(proposals, generator=generator)
    candidates, terminal = [], []
    for epsilon, last in zip(noise.candidates, noise.terminal, strict=True):
        order = torch.randperm(drawn, generator=generator)
        candidates.append(epsilon[:, :, order])
        terminal.append(last[:, torch.cat([first, proposals + order])])
    permuted = noise._replace(
        policy=noise.policy[:, :, first],
        candidates=torch.stack(candidates),
        terminal=torch.stack(terminal),
    )
    assert not torch.equal(permuted.candidates, noise.candidates)
    assert_same(run(mppi, WAVY, z, noise)[0], run(mppi, WAVY, z, permuted)[0])


def part_of_batch(noise: MPPINoise, row: int) -> MPPINoise:
    one = slice(row, row + 1)
    return MPPINoise(
        policy=noise.policy[:, one],
        candidates=noise.candidates[:, :, one],
        terminal=noise.terminal[:, one],
        heads=noise.heads,
        pick=noise.pick[one],
        action=noise.action[one],
    )


@given(seed=seeds, warm=st.booleans(), greedy=st.booleans())
def test_a_batch_is_its_plans_one_by_one(seed: int, warm: bool, greedy: bool) -> None:
    mppi = planner()
    noise, z = draws(mppi, seed), start(seed)
    plan = torch.tanh(noise.policy[:, :, 0]) if warm else None
    together = run(mppi, WAVY, z, noise, warm_start=plan, greedy=greedy)[0]
    for row in range(len(z)):
        one = slice(row, row + 1)
        alone = run(
            mppi,
            WAVY,
            z[one],
            part_of_batch(noise, row),
            warm_start=None if plan is None else plan[:, one],
            greedy=greedy,
        )[0]
        part = {n: v[:, one] if n == "mean" else v[one] for n, v in leaves(together).items()}
        for name, value in leaves(alone).items():
            assert torch.equal(value, part[name]), name


@pytest.mark.parametrize("states", [0, 1, 2, 3, 7, 100])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_batch_in_pieces_is_the_whole_batch(
    states: int, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    mppi = planner()
    mppi.cached_numbers = states * mppi.samples * ACTION
    sizes: list[int] = []

    def counted(model: PlanningModel, z: Tensor, *rest: Any) -> PlanIteration:
        sizes.append(len(z))
        return mppi.iterate(model, z, *rest)

    if compiled:  # anything but `iterate` itself counts as such
        monkeypatch.setattr(mppi, "_iterate", counted)
        monkeypatch.setattr(mppi, "compiled", True)
    noise, z = draws(mppi, 0, batch=7), start(0, batch=7)
    warm = torch.tanh(noise.policy[:, :, 0])
    whole = run(mppi, WAVY, z, noise, warm_start=warm)[0]
    del sizes[:]
    assert_same(mppi.plan(z, WAVY, noise, warm_start=warm), whole)
    if compiled:  # one state or a whole piece, which may be filled up; what is much less is eager
        assert set(sizes) == {0: {1}, 2: {1, 2}, 3: {1, 3}, 100: set()}.get(states, {states})


@pytest.mark.parametrize("member", ["tdmpc2_equiv", "bmpc_equiv"])
@pytest.mark.parametrize("episodic", [False, True])
def test_an_agents_batch_is_its_plans_one_by_one(member: str, episodic: bool) -> None:
    agent = build(member, EnvSpec(5, ACTION, 500, episodic))
    with torch.no_grad():  # constant rewards and values would make all candidates alike
        for net in (agent.world_model.reward_net, agent.critic.online):
            list(net.parameters())[-2].normal_(0.0, 0.5)
    generator = generator_for(1, "plan")
    noise = agent.draw_plan_noise(4, generator)
    obs = torch.randn(4, 5, dtype=torch.float64, generator=generator)
    together = agent.act(obs, noise)
    assert together.value.std() > 0
    for row in range(4):
        alone = agent.act(obs[row : row + 1], part_of_batch(noise, row))
        assert torch.allclose(alone.action, together.action[row], atol=1e-9)
        assert torch.allclose(alone.value, together.value[row], atol=1e-9)
        assert torch.allclose(alone.mean[:, 0], together.mean[:, row], atol=1e-9)


# --- what the plan converges to ------------------------------------------------------------------


@FEW
@given(
    seed=seeds,
    curvature=st.floats(10.0, 50.0),
    target=st.lists(st.floats(-0.6, 0.6), min_size=ACTION, max_size=ACTION),
    slope=st.floats(-0.3, 0.3),
)
def test_the_plan_converges_to_the_maximiser(
    seed: int, curvature: float, target: list[float], slope: float
) -> None:
    centre = torch.tensor(target, dtype=torch.float64)

    # the best action at z is centre + slope * z, where every reward reaches its maximum of 0
    def step(z: Tensor, action: Tensor) -> Step:
        reward = -curvature * (action - centre - slope * z).square().sum(-1)
        return Step(torch.tanh(0.8 * z + action), reward, torch.full_like(reward, GAMMA))

    mppi = planner(iterations=20, samples=256, elites=32, policy_samples=8)
    z = start(seed, 2).clamp(-1, 1)
    model = PlanningModel(step, no_value, tanh_policy)
    result, seen = run(mppi, model, z, draws(mppi, seed, 2), greedy=True)
    for action in result.mean:
        best = centre + slope * z
        # candidates keep scattering by min_std, and the mean with them by a fraction of it
        assert torch.allclose(action, best, atol=0.03)
        z = step(z, best).z
    assert torch.allclose(result.dist.mean, result.mean[0], atol=0.1)
    assert float(result.value.min()) > -1
    distance = [float((s.mean[0] - result.mean[0]).abs().max()) for s in seen]
    assert distance[0] > distance[-1]


@given(seed=seeds, constant=st.floats(-100, 100))
def test_a_constant_terminal_value_changes_no_choice(seed: int, constant: float) -> None:
    mppi = planner()
    noise, z = draws(mppi, seed), start(seed)
    shifted = WAVY._replace(value=lambda *inputs: noisy_value(*inputs) + constant)
    plain, moved = (run(mppi, model, z, noise)[0] for model in (WAVY, shifted))
    expected = plain.value + GAMMA**mppi.horizon * constant
    assert torch.allclose(moved.value, expected, atol=1e-9)
    assert_same(moved._replace(value=plain.value), plain, tolerance=1e-8)


def test_the_terminal_value_matters() -> None:
    mppi = planner()
    noise, z = draws(mppi, 0), start(0)
    other = WAVY._replace(value=lambda *inputs: 5 * noisy_value(*inputs))
    first, second = (run(mppi, model, z, noise)[0] for model in (WAVY, other))
    assert not torch.allclose(first.mean, second.mean)


# --- bounds --------------------------------------------------------------------------------------


@given(
    seed=seeds,
    scale=st.sampled_from([0.0, 1e-6, 1.0, 1e3, 1e12]),
    bounds=st.sampled_from([(0.05, 2.0), (0.5, 0.5), (1e-3, 10.0)]),
    greedy=st.booleans(),
)
def test_bounds(seed: int, scale: float, bounds: tuple[float, float], greedy: bool) -> None:
    def step(z: Tensor, action: Tensor) -> Step:
        plain = wavy_step(z, action)
        return plain._replace(reward=scale * plain.reward)

    mppi = planner(min_std=bounds[0], max_std=bounds[1])
    noise, z = draws(mppi, seed), start(seed)
    model = PlanningModel(step, noisy_value, tanh_policy)
    result, seen = run(mppi, model, z, noise, greedy=greedy)
    for iteration in seen:
        assert float(iteration.actions.abs().max()) <= 1
        assert float(iteration.mean.abs().max()) <= 1 + 1e-12
        assert bounds[0] <= float(iteration.std.min()) <= float(iteration.std.max()) <= bounds[1]
        assert torch.allclose(iteration.weights.sum(1), torch.ones(3, dtype=torch.float64))
        best = iteration.value.sort(1, descending=True).values[:, : mppi.elites]
        assert torch.equal(iteration.value.gather(1, iteration.elites), best)
    assert float(result.action.abs().max()) <= 1
    assert torch.equal(result.dist.std, seen[-1].std[0])
    assert torch.equal(result.mean, seen[-1].mean)


@given(seed=seeds)
def test_moments_of_the_elites(seed: int) -> None:
    mppi = planner(min_std=1e-3)
    result, seen = run(mppi, WAVY, start(seed), draws(mppi, seed))
    for row in range(3):
        for iteration in seen:
            value = iteration.value[row].numpy()
            best = np.argsort(-value)[: mppi.elites]
            weight = np.exp(0.5 * (value[best] - value.max()))
            actions = iteration.actions[:, row].numpy()[:, best]
            mean = np.average(actions, axis=1, weights=weight)
            variance = np.average((actions - mean[:, None]) ** 2, axis=1, weights=weight)
            assert np.allclose(iteration.mean[:, row].numpy(), mean, atol=1e-7)
            std = np.clip(np.sqrt(variance), 1e-3, 2.0)
            assert np.allclose(iteration.std[:, row].numpy(), std, atol=1e-6)
        # the pick is one of the elites, with its own score
        hit = (seen[-1].actions[0, row] == result.dist.mean[row]).all(-1)
        assert result.value[row] in seen[-1].value[row][hit]


# --- NaN and termination -------------------------------------------------------------------------


@given(seed=seeds, share=st.floats(-1.0, 1.0))
def test_nan_scores_count_as_zero(seed: int, share: float) -> None:
    def valued(bad: float) -> PlanningModel:
        # elsewhere the value is below 0, so that a score of 0 decides the plan
        def value(z: Tensor, noise: Tensor, heads: Tensor) -> Tensor:
            good = -1 - noisy_value(z, noise, heads).square()
            return torch.where(z[..., 0] > share, bad, good)

        def step(z: Tensor, action: Tensor) -> Step:
            plain = wavy_step(z, action)
            return plain._replace(reward=torch.zeros_like(plain.reward))

        return PlanningModel(step, value, tanh_policy)

    mppi = planner()
    noise, z = draws(mppi, seed), start(seed)
    with_nan, with_zero = (run(mppi, valued(bad), z, noise) for bad in (math.nan, 0.0))
    assert_same(with_nan[0], with_zero[0])
    assert all(bool(value.isfinite().all()) for value in leaves(with_nan[0]).values())


def test_all_scores_nan() -> None:
    mppi = planner()
    model = WAVY._replace(value=lambda z, noise, heads: torch.full_like(z[..., 0], math.nan))
    result, seen = run(mppi, model, start(0), draws(mppi, 0))
    assert all(bool(value.isfinite().all()) for value in leaves(result).values())
    assert torch.equal(seen[0].value, torch.zeros_like(seen[0].value))
    assert torch.allclose(seen[0].weights, torch.full_like(seen[0].weights, 1 / mppi.elites))


def terminal_here(z: Tensor) -> Tensor:
    return torch.sin(9 * z).sum(-1) > 0.8


def mortal_step(z: Tensor, action: Tensor) -> Step:
    plain = wavy_step(z, action)
    return plain._replace(discount=GAMMA * (~terminal_here(plain.z)).to(z.dtype))


@given(seed=seeds, horizon=st.integers(1, 5))
def test_scores_with_termination_from_the_method(seed: int, horizon: int) -> None:
    mppi = planner(horizon=horizon, iterations=2)
    model = PlanningModel(mortal_step, noisy_value, tanh_policy)
    noise, z = draws(mppi, seed), start(seed)
    _, seen = run(mppi, model, z, noise)
    for number, iteration in enumerate(seen):
        state = z[:, None].expand(-1, mppi.samples, -1)
        over = torch.zeros(state.shape[:2], dtype=torch.float64)
        total = torch.zeros_like(over)
        for t, action in enumerate(iteration.actions):
            plain = wavy_step(state, action)
            total += GAMMA**t * (1 - over) * plain.reward
            state = plain.z
            over = torch.maximum(over, terminal_here(state).double())
        value = noisy_value(state, noise.terminal[number], noise.heads[number])
        total += GAMMA**horizon * (1 - over) * value
        assert torch.allclose(iteration.value, total, atol=1e-12)


@given(seed=seeds)
def test_nothing_counts_after_the_end(seed: int) -> None:
    def model(later: float) -> PlanningModel:
        # z[..., 1] counts the steps; the second step ends the episode
        def step(z: Tensor, action: Tensor) -> Step:
            time = z[..., 1]
            reward = torch.where(time < 2, -(action - 0.3).square().sum(-1), later)
            next_z = torch.stack([z[..., 0], time + 1], -1)
            return Step(next_z, reward, GAMMA * (time < 1).to(z.dtype))

        def value(z: Tensor, noise: Tensor, heads: Tensor) -> Tensor:
            return later * noise.sum(-1)

        return PlanningModel(step, value, tanh_policy)

    mppi = planner(horizon=4)
    noise = draws(mppi, seed)
    z = torch.zeros(3, 2, dtype=torch.float64)
    without, later = (run(mppi, model(later), z, noise)[0] for later in (0.0, 1e6))
    assert_same(without, later)


# --- warm start, exploration, elites -------------------------------------------------------------


@given(seed=seeds, warm=st.booleans(), horizon=st.integers(1, 4))
def test_warm_start_is_the_previous_mean_shifted(seed: int, warm: bool, horizon: int) -> None:
    mppi = planner(horizon=horizon)
    noise, z = draws(mppi, seed), start(seed)
    previous = run(mppi, WAVY, z, noise)[0].mean
    kept = previous.clone()
    _, seen = run(mppi, WAVY, z, noise, warm_start=previous if warm else None)
    assert torch.equal(previous, kept)
    mean = torch.zeros_like(previous)
    if warm:
        mean[: horizon - 1] = previous[1:]
    std = torch.full_like(mean, 2.0)
    state, proposals = z[:, None].expand(-1, mppi.policy_samples, -1), []
    for epsilon in noise.policy:
        proposals.append(tanh_policy(state, epsilon))
        state = wavy_step(state, proposals[-1]).z
    for epsilon, iteration in zip(noise.candidates, seen, strict=True):
        expected = (mean[:, :, None] + std[:, :, None] * epsilon).clamp(-1, 1)
        assert torch.allclose(iteration.actions[:, :, mppi.policy_samples :], expected)
        assert torch.allclose(
            iteration.actions[:, :, : mppi.policy_samples], torch.stack(proposals)
        )
        mean, std = iteration.mean, iteration.std


@given(seed=seeds)
def test_exploration(seed: int) -> None:
    mppi = planner()
    noise, z = draws(mppi, seed), start(seed)
    other = noise._replace(action=noise.action + 1)
    greedy = run(mppi, WAVY, z, noise, greedy=True)[0]
    assert_same(greedy, run(mppi, WAVY, z, other, greedy=True)[0])
    assert torch.equal(greedy.action, greedy.dist.mean)
    exploring = run(mppi, WAVY, z, noise)[0]
    assert_same(exploring._replace(action=greedy.action), greedy)
    moved = greedy.dist.mean + greedy.dist.std * noise.action
    assert torch.allclose(exploring.action, moved.clamp(-1, 1))


def test_elites_are_picked_by_their_weights() -> None:
    mppi = planner(iterations=1, elites=5)
    states = 4000
    noise, z = draws(mppi, 0, 1), start(0, 1)
    # one plan, drawn 4000 times: the same state and noise with fresh draws of the pick
    many = MPPINoise(
        policy=noise.policy.expand(-1, states, -1, -1),
        candidates=noise.candidates.expand(-1, -1, states, -1, -1),
        terminal=noise.terminal.expand(-1, states, -1, -1),
        heads=noise.heads,
        pick=draws(mppi, 1, states).pick,
        action=noise.action.expand(states, -1),
    )
    result, seen = run(mppi, WAVY, z.expand(states, -1), many)
    elite_value = seen[0].value[0].gather(0, seen[0].elites[0])
    counts = (result.value[:, None] == elite_value).sum(0).double()
    assert int(counts.sum()) == states
    expected = states * seen[0].weights[0]
    assert float(((counts - expected).square() / expected).sum()) < 18.5  # 4 d.o.f., p = 0.001


# --- sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("action_dim", "expected"), [(1, 6), (19, 6), (20, 8), (61, 8)])
def test_wide_actions_get_two_more_iterations(action_dim: int, expected: int) -> None:
    mppi = MPPIPlanner()
    assert mppi.iterations(action_dim) == expected
    small = planner(iterations=6)
    noise = small.draw_noise(1, action_dim, 2, generator_for(0, "plan"), torch.float64)
    z = torch.zeros(1, action_dim, dtype=torch.float64)
    assert len(run(small, WAVY, z, noise)[1]) == expected


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"horizon": 0}, "MPPIPlanner.horizon = 0: expected an integer in"),
        ({"iterations": 0}, "MPPIPlanner.iterations = 0"),
        ({"elites": 0}, "elites = 0"),
        ({"elites": 25}, "expected 1 .. samples = 24"),
        ({"policy_samples": -1}, "policy_samples = -1"),
        ({"policy_samples": 24}, "expected 0 .. samples - 1 = 23"),
        ({"min_std": -0.1}, "MPPIPlanner.min_std = -0.1: expected a number of at least 0"),
        ({"min_std": 3.0}, "min_std 3.0 is above max_std 2.0"),
        ({"max_std": 0.0}, "MPPIPlanner.max_std = 0.0"),
    ],
)
def test_sizes_that_do_not_fit(sizes: dict[str, float], message: str) -> None:
    build_planner: Callable[..., MPPIPlanner] = planner
    with pytest.raises(ValueError, match=message):
        build_planner(**sizes)


@pytest.mark.parametrize("policy_samples", [0, 23])
def test_extreme_shares_of_proposals(policy_samples: int) -> None:
    mppi = planner(policy_samples=policy_samples, elites=24)
    result, seen = run(mppi, WAVY, start(0), draws(mppi, 0))
    assert bool(result.action.isfinite().all())
    assert seen[0].actions.shape == (3, 3, 24, ACTION)
