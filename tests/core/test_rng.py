"""Every purpose has a stream of random numbers of its own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from mppi_zoo.core.rng import generator_for, numpy_generator_for

PURPOSES = ("update", "plan", "reanalysis", "replay", "evaluation")


def test_generators_are_their_purposes_own() -> None:
    streams = {
        (seed, purpose): torch.rand(500, generator=generator_for(seed, purpose)).numpy()
        for seed in range(20)
        for purpose in PURPOSES
    }
    first = {round(float(stream[0]), 6) for stream in streams.values()}
    assert len(first) > 0.97 * len(streams)
    pooled = np.concatenate(list(streams.values()))
    assert kstest(pooled, "uniform").pvalue > 1e-3
    matrix = np.corrcoef(np.stack(list(streams.values())))
    off_diagonal = matrix[np.triu_indices(len(matrix), 1)]
    # 4950 correlations of 500 pairs each have a deviation of 0.045; no two streams are related
    assert abs(off_diagonal).max() < 0.25
    assert off_diagonal.std() == pytest.approx(1 / math.sqrt(500), rel=0.1)


def test_drawing_for_one_purpose_shifts_no_other() -> None:
    for make in (generator_for, numpy_generator_for):
        alone, beside, other = make(3, "plan"), make(3, "plan"), make(3, "update")

        def draw(generator: torch.Generator | np.random.Generator) -> list[float]:
            if isinstance(generator, torch.Generator):
                return torch.rand(5, generator=generator).tolist()
            return generator.random(5).tolist()

        untouched = [draw(alone) for _ in range(3)]
        interleaved = []
        for _ in range(3):
            interleaved.append(draw(beside))
            assert draw(other) not in untouched
        assert interleaved == untouched
        assert draw(make(4, "plan")) != untouched[0]
