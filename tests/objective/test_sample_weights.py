"""Weights per sample: shares of a softmax, clipped exponentials of advantages."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.agents import build, random_batch, update
from support.objectives import ANY_BATCH, tensor
from torch import Tensor

from mppi_zoo.core.types import EnvSpec
from mppi_zoo.objective.sample_weights import (
    AdvantageWeights,
    ReturnWeights,
    SoftmaxValueWeights,
)


@given(
    value=st.lists(st.floats(-100, 100), min_size=6, max_size=6).map(tensor),
    baseline=st.lists(st.floats(-100, 100), min_size=6, max_size=6).map(tensor),
)
def test_sample_weights(value: Tensor, baseline: Tensor) -> None:
    value, baseline = value.view(2, 3).requires_grad_(), baseline.view(2, 3)
    softmax = SoftmaxValueWeights()(value, None, ANY_BATCH)
    # the weights of each t sum to B, so that the mean over the batch is a sum of softmax weights
    assert torch.allclose(softmax.sum(1), tensor([3.0, 3.0]))
    assert torch.allclose(softmax / 3, torch.softmax(value.detach(), 1))
    advantage = AdvantageWeights()(value, baseline, ANY_BATCH)
    with np.errstate(over="ignore"):
        raw = np.exp((value.detach() - baseline).numpy() / 0.3333)
    assert np.allclose(advantage.numpy(), np.clip(raw, 0.1, 10.0))
    assert not softmax.requires_grad and not advantage.requires_grad


def test_return_weights() -> None:
    batch = random_batch(EnvSpec(2, 1, 9), 4)._replace(episode_return=tensor([5.0, 1.0, 3.0, 9.0]))
    relative = ReturnWeights()(None, None, batch)
    assert torch.equal(relative, tensor([0.5, 0.0, 0.25, 1.0]).expand(3, 4))
    bounded = ReturnWeights(low=0.0, high=4.0)(None, None, batch)
    assert torch.equal(bounded[0], tensor([1.0, 0.25, 0.75, 1.0]))
    equal = batch._replace(episode_return=tensor([2.0, 2.0, 2.0, 2.0]))
    assert torch.equal(ReturnWeights()(None, None, equal), torch.ones(3, 4, dtype=torch.float64))
    with pytest.raises(ValueError, match="low 3.0 must be below high 2.0"):
        ReturnWeights(low=3.0, high=2.0)
    with pytest.raises(ValueError, match="episode_returns=True"):
        ReturnWeights()(None, None, batch._replace(episode_return=None))


def test_weights_of_one_are_plain_imitation() -> None:
    # bounds that all returns are above: bit-identical to no weights
    spec = EnvSpec(5, 3, 100)
    plain, weighted = (
        build("tdmpbc", spec, *params)
        for params in (
            ("KLObjective.sample_weights=@UnitWeights()",),
            ("ReturnWeights.low=-1e6", "ReturnWeights.high=-1e5"),
        )
    )
    batch = random_batch(spec)
    for agent in (plain, weighted):
        update(agent, batch, agent.draw_update_noise(batch, torch.Generator().manual_seed(0)))
    pairs = zip(plain.policy.parameters(), weighted.policy.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
