"""What a sampling planner makes of its elites: choice, report, memory."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from planning.test_mppi import ACTION, WAVY, assert_same, draws, planner, run, start
from torch import Tensor

from mppi_zoo.planning.candidates import ColouredNoise, ShrinkingPopulation
from mppi_zoo.planning.elites import (
    EliteMemory,
    best_elite,
    best_elite_when_greedy,
    best_with_spread,
)
from mppi_zoo.planning.mppi_noise import noise_of_states

seeds = st.integers(0, 10_000)


@given(seed=seeds)
def test_the_best_elite_is_executed(seed: int) -> None:
    mppi, noise, z = planner(choice=best_elite), draws(planner(), seed), start(seed)
    result, seen = run(mppi, WAVY, z, noise, greedy=True)
    value, best = seen[-1].value.max(1)
    assert torch.equal(result.value, value)
    assert torch.equal(result.action, seen[-1].actions[0, torch.arange(3), best])
    # the choice changes nothing but what is executed and reported
    assert torch.equal(result.mean, run(planner(), WAVY, z, noise)[0].mean)
    # the third rule is the one or the other
    third = planner(choice=best_elite_when_greedy)
    assert_same(run(third, WAVY, z, noise, greedy=True)[0], result)
    assert_same(run(third, WAVY, z, noise)[0], run(planner(), WAVY, z, noise)[0])


@given(seed=seeds, elites=st.integers(1, 6))
def test_the_spread_about_the_best_is_reported(seed: int, elites: int) -> None:
    mppi = planner(report=best_with_spread, elites=elites, min_std=0.0)
    noise, z = draws(mppi, seed), start(seed)
    result, seen = run(mppi, WAVY, z, noise)
    plain = run(planner(elites=elites, min_std=0.0), WAVY, z, noise)[0]
    assert torch.equal(result.action, plain.action)  # what is executed stays
    for row in range(3):
        best = int(seen[-1].value[row].argmax())
        centre = seen[-1].actions[0, row, best]
        variance = torch.zeros(ACTION, dtype=torch.float64)
        for one, weight in zip(seen[-1].elites[row], seen[-1].weights[row], strict=True):
            variance += weight * (seen[-1].actions[0, row, one] - centre) ** 2
        assert torch.equal(result.dist.mean[row], centre)
        assert torch.allclose(result.dist.std[row], (variance + 1e-6).sqrt(), atol=1e-12)


# --- kept elites ---------------------------------------------------------------------------------


@given(seed=seeds, warm=st.booleans())
def test_no_share_keeps_none(seed: int, warm: bool) -> None:
    mppi, noise, z = planner(memory=EliteMemory(0.0)), draws(planner(), seed), start(seed)
    previous = torch.tanh(noise.policy[:, :, 0]) if warm else None
    result = run(mppi, WAVY, z, noise, warm_start=previous)[0]
    assert_same(result, run(planner(), WAVY, z, noise, warm_start=previous)[0])
    assert mppi.warm_rows == mppi.horizon and torch.equal(result.warm_start, result.mean)


@given(seed=seeds)
def test_elites_join_the_next_candidates(seed: int) -> None:
    mppi, noise, z = planner(memory=EliteMemory(0.5)), draws(planner(), seed), start(seed)
    result, seen = run(mppi, WAVY, z, noise)
    # the first step of an episode has none to start from
    assert torch.equal(seen[0].actions, run(planner(), WAVY, z, noise)[1][0].actions)
    for before, after in zip(seen, seen[1:], strict=False):
        best = before.value.topk(3, 1).indices
        index = best[None, :, :, None].expand(mppi.horizon, -1, -1, ACTION)
        assert torch.equal(after.actions[:, :, -3:], before.actions.gather(2, index))
        assert after.value.shape == before.value.shape
    # the next step starts from them, shifted; their last actions are drawn
    assert result.warm_start.shape == (mppi.horizon * 4, 3, ACTION) == (mppi.warm_rows, 3, ACTION)
    later = draws(mppi, seed + 1)
    _, next_seen = run(mppi, WAVY, z, later, warm_start=result.warm_start)
    for number in range(3):
        kept = seen[-1].elite_actions[:, :, number]
        here = next_seen[0].actions[:, :, mppi.samples - 3 + number]
        assert torch.equal(here[:-1], kept[1:])
        drawn = (2 * later.candidates[0, -1, :, number]).clamp(-1, 1)
        assert torch.allclose(here[-1], drawn)
    # an environment whose episode begins has none, whatever the others have
    begun = result.warm_start.clone()
    begun[:, 1] = 0
    _, mixed = run(mppi, WAVY, z, later, warm_start=begun)
    fresh = run(mppi, WAVY, z, later)[1]
    assert torch.equal(mixed[0].actions[:, 1], fresh[0].actions[:, 1])
    assert torch.equal(mixed[0].actions[:, 0], next_seen[0].actions[:, 0])


@given(seed=seeds)
def test_elites_may_stay_within_a_step(seed: int) -> None:
    mppi = planner(memory=EliteMemory(0.5, across_steps=False))
    noise, z = draws(mppi, seed), start(seed)
    across = planner(memory=EliteMemory(0.5))
    assert_same(run(mppi, WAVY, z, noise)[0], run(across, WAVY, z, noise)[0])
    assert mppi.warm_rows == mppi.horizon


def everything(**sizes: int) -> dict[str, object]:
    return {
        "memory": EliteMemory(0.5),
        "population": ShrinkingPopulation(1.3),
        "candidate_noise": ColouredNoise(2.0),
        "choice": best_elite,
        "report": best_with_spread,
        **sizes,
    }


@pytest.mark.parametrize("pieces", [1, 2])
def test_a_batch_with_all_parts_is_its_plans_one_by_one(pieces: int) -> None:
    mppi = planner(**everything(cached_numbers=pieces * 24 * ACTION))
    noise, z = draws(mppi, 0, batch=5), start(0, batch=5)
    warm = mppi.plan(z, WAVY, draws(mppi, 1, batch=5)).warm_start
    together = mppi.plan(z, WAVY, noise, warm_start=warm)
    for row in range(5):
        one = torch.tensor([row])
        alone = mppi.plan(z[one], WAVY, noise_of_states(noise, one), warm_start=warm[:, one])
        expected: tuple[Tensor, ...] = (together.action[one], together.warm_start[:, one])
        assert torch.equal(alone.action, expected[0]) and torch.equal(alone.warm_start, expected[1])
