"""A running normaliser of observations: its moments, its place, its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.short_runs import PHASES, SHALLOW, train

import mppi_zoo
from mppi_zoo.core.types import ObsSpec
from mppi_zoo.networks.normalizer import ObsNormalizer


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(0, 99))
def test_mean_and_std_are_those_of_all_observations_together(sizes: list[int], seed: int) -> None:
    draws = torch.Generator().manual_seed(seed)
    parts = [1e3 + torch.randn(n, 3, generator=draws, dtype=torch.float64) for n in sizes]
    normalizer = ObsNormalizer(ObsSpec.vector(3))
    for part in parts:
        normalizer.observe(part)
    whole = torch.cat(parts)
    std = whole.std(0, correction=0).clamp(min=1e-4)
    expected = ((whole - whole.mean(0)) / std).clamp(-10, 10)
    torch.testing.assert_close(normalizer(whole), expected, rtol=1e-6, atol=1e-6)


def test_until_something_was_seen_nothing_is_changed() -> None:
    obs = torch.tensor([[1.0, -2.0, 50.0]])
    assert ObsNormalizer(ObsSpec.vector(3))(obs).tolist() == [[1.0, -2.0, 10.0]]


def test_it_is_trained_saved_and_loaded_with_the_agent(tmp_path: Path) -> None:
    on = ["--param", "WorldModel.normalizer=@ObsNormalizer"]
    folder = train(tmp_path / "run", "tdmpc2_equiv", "toy:point", *PHASES, *SHALLOW, *on)
    controller = mppi_zoo.load(folder, best=False)
    normalizer = controller.agent.world_model.normalizer
    assert isinstance(normalizer, ObsNormalizer) and normalizer.count == 64
    assert (normalizer.squares > 0).all()
    seen = controller.act(np.ones(2), planner=False)
    normalizer.mean += 100.0
    assert (controller.act(np.ones(2), planner=False) != seen).any()
