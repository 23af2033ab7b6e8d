"""Where a plan starts: the shifted plan, or the policy's moments as long as an agent is young."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from planning.test_mppi import WAVY, assert_same, draws, planner, run, start
from support.agents import build_execution
from torch import Tensor

from mppi_zoo.agent.actor import Actor
from mppi_zoo.core.types import EnvSpec
from mppi_zoo.planning.start import PolicyMoments, ShiftedPlan

seeds = st.integers(0, 10_000)


def at(step: float) -> Tensor:
    return torch.tensor(step, dtype=torch.float64)


@given(seed=seeds, late=st.sampled_from([None, at(300.0), at(1e7)]), warm=st.booleans())
def test_an_old_agent_starts_from_its_last_plan(seed: int, late: Tensor | None, warm: bool) -> None:
    mppi, noise, z = planner(start=PolicyMoments(100, 200)), draws(planner(), seed), start(seed)
    previous = torch.tanh(noise.policy[:, :, 0]) if warm else None
    result = run(mppi, WAVY, z, noise, warm_start=previous, step=late)[0]
    assert_same(result, run(planner(), WAVY, z, noise, warm_start=previous)[0])


@given(seed=seeds, step=st.integers(0, 400))
def test_a_young_agent_starts_from_its_policy(seed: int, step: int) -> None:
    mppi, noise, z = planner(start=PolicyMoments(100, 200)), draws(planner(), seed), start(seed)
    previous = torch.tanh(noise.policy[:, :, 0])
    _, seen = run(mppi, WAVY, z, noise, warm_start=previous, step=at(step))
    proposals = seen[0].actions[:, :, :4]
    share = 1.0 if step < 100 else max(1 - (step - 100) / 200, 0.0)
    own_mean = proposals.mean(2)
    own_std = ((proposals - own_mean.unsqueeze(2)).square().sum(2) / 3).sqrt().clamp(0.05, 2.0)
    mean = torch.cat([previous[1:], torch.zeros_like(previous[:1])])
    mean = share * own_mean + (1 - share) * mean
    std = share * own_std + (1 - share) * 2.0
    expected = (mean.unsqueeze(2) + std.unsqueeze(2) * noise.candidates[0]).clamp(-1, 1)
    assert torch.allclose(seen[0].actions[:, :, 4:], expected, atol=1e-12)


def test_moments_need_two_proposals() -> None:
    with pytest.raises(ValueError, match="PolicyMoments needs at least 2"):
        planner(policy_samples=1, start=PolicyMoments(1, 1))


def test_the_step_reaches_the_planner() -> None:
    """The actor hands on the agent step; without one the policy's moments play no part."""
    bindings = ("MPPIPlanner.start=@PolicyMoments()", "PolicyMoments.start=100")
    spec = EnvSpec(5, 2, 100)
    execution = build_execution("tdmpc2_equiv", spec, *bindings, "PolicyMoments.decay=100")
    plain = build_execution("tdmpc2_equiv", spec)
    assert execution.agent.planner.reads_step and not plain.agent.planner.reads_step
    obs = torch.randn(2, 5).numpy()

    def mean(runs: object, step: int | None) -> Tensor:
        actor = Actor(runs, 2, torch.Generator().manual_seed(0))  # pyright: ignore
        return actor.act(obs, greedy=True, step=step).result.mean

    last = mean(plain, 50)
    assert torch.equal(mean(execution, 200), last) and torch.equal(mean(execution, None), last)
    assert not torch.allclose(mean(execution, 50), last)
    assert not torch.allclose(mean(execution, 150), mean(execution, 50))


@pytest.mark.parametrize(("std", "expected"), [(None, 2.0), (0.3, 0.3), (9.0, 2.0), (0.01, 0.05)])
def test_a_shifted_plan_may_start_narrower(std: float | None, expected: float) -> None:
    previous, bounds = torch.rand(3, 2, 1), (0.05, 2.0)
    mean, found = ShiftedPlan(std)(previous, torch.zeros(3, 2, 0, 1), bounds, None)
    assert torch.equal(found, torch.full_like(mean, expected))
    assert torch.equal(mean[:-1], previous[1:]) and not mean[-1].any()
