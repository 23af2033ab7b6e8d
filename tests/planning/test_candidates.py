"""Candidates of a sampling planner: noise of a colour, a population that shrinks, CEM's weights."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from planning.test_mppi import WAVY, assert_same, draws, planner, run, start

from mppi_zoo.planning.candidates import ColouredNoise, ShrinkingPopulation

seeds = st.integers(0, 10_000)


@given(beta=st.floats(0.0, 4.0), length=st.integers(2, 40), data=st.data())
def test_the_spectrum_is_a_power_of_the_frequency(
    beta: float, length: int, data: st.DataObject
) -> None:
    correlation = ColouredNoise(beta, length).correlation()
    power = torch.fft.fft(correlation).real
    frequency = torch.fft.fftfreq(length, dtype=torch.float64).abs().clamp_min(1 / length)
    expected = frequency**-beta
    assert torch.allclose(power / power.sum(), expected / expected.sum(), atol=1e-12)
    # what is drawn has this correlation, and variance 1 at every step
    horizon = data.draw(st.integers(1, length))
    mixing = ColouredNoise(beta, length).mixing(horizon)
    step = torch.arange(horizon)
    toeplitz = correlation[(step[:, None] - step).abs()]
    assert torch.allclose(mixing @ mixing.mT, toeplitz, atol=1e-9)
    assert torch.allclose(mixing.square().sum(1), torch.ones(horizon).double(), atol=1e-9)


@given(seed=seeds, horizon=st.integers(1, 5))
def test_beta_zero_is_white_noise(seed: int, horizon: int) -> None:
    white = planner(horizon=horizon)
    coloured = planner(horizon=horizon, candidate_noise=ColouredNoise(0.0))
    assert torch.equal(draws(coloured, seed).candidates, draws(white, seed).candidates)
    first = run(coloured, WAVY, start(seed), draws(coloured, seed))[0]
    assert_same(first, run(white, WAVY, start(seed), draws(white, seed))[0])


def test_a_redder_noise_holds_its_direction() -> None:
    neighbours = []
    for beta in (0.0, 1.0, 2.0, 4.0):
        coloured = planner(samples=3000, elites=6, candidate_noise=ColouredNoise(beta))
        noise = draws(coloured, 0).candidates[0]
        neighbours.append(float((noise[0] * noise[1]).mean()))
        assert noise.std() == pytest.approx(1, abs=0.02)
    assert neighbours == sorted(neighbours) and neighbours[0] < 0.05 and neighbours[-1] > 0.9


def test_a_series_of_three_steps_is_white() -> None:
    assert torch.allclose(ColouredNoise(2.0, 3).correlation(), torch.tensor([1.0, 0, 0]).double())


def test_a_plan_longer_than_the_series_is_refused() -> None:
    long = planner(horizon=4, candidate_noise=ColouredNoise(2.0, 3))
    with pytest.raises(ValueError, match=r"length = 3 is shorter than the plan's 4 steps"):
        draws(long, 0)


@given(seed=seeds)
def test_a_factor_of_one_keeps_the_population(seed: int) -> None:
    same = planner(population=ShrinkingPopulation(1.0))
    assert_same(
        run(same, WAVY, start(seed), draws(same, seed))[0],
        run(planner(), WAVY, start(seed), draws(same, seed))[0],
    )


def test_the_population_shrinks_to_twice_the_elites() -> None:
    mppi = planner(samples=40, elites=8, iterations=5, population=ShrinkingPopulation(1.5))
    _, seen = run(mppi, WAVY, start(0), draws(mppi, 0))
    assert [i.value.shape[1] for i in seen] == [40, 26, 17, 16, 16]
    # the first draws of an iteration are used, the policy's proposals all
    noise = draws(mppi, 0)
    expected = seen[1].mean.unsqueeze(2) + seen[1].std.unsqueeze(2) * noise.candidates[2][:, :, :13]
    assert torch.allclose(seen[2].actions[:, :, 4:], expected.clamp(-1, 1))


def test_a_population_too_small_for_its_proposals_is_refused() -> None:
    with pytest.raises(
        ValueError, match="8 candidates in the last iteration, expected at least 10"
    ):
        planner(elites=4, policy_samples=10, iterations=20, population=ShrinkingPopulation(2.0))


@given(seed=seeds)
def test_temperature_zero_is_the_cross_entropy_method(seed: int) -> None:
    mppi = planner(temperature=0.0, min_std=0.0)
    _, seen = run(mppi, WAVY, start(seed), draws(mppi, seed))
    for iteration in seen:
        weights = iteration.weights
        assert torch.equal(weights, torch.full_like(weights, 1 / mppi.elites))
        assert torch.allclose(iteration.mean, iteration.elite_actions.mean(2), atol=1e-8)
        std = iteration.elite_actions.std(2, correction=0)
        assert torch.allclose(iteration.std, std, atol=1e-8)
