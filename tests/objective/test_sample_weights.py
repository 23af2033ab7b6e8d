"""Weights per sample: shares of a softmax, clipped exponentials of advantages."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.objectives import tensor
from torch import Tensor

from mppi_zoo.objective.sample_weights import AdvantageWeights, SoftmaxValueWeights


@given(
    value=st.lists(st.floats(-100, 100), min_size=6, max_size=6).map(tensor),
    baseline=st.lists(st.floats(-100, 100), min_size=6, max_size=6).map(tensor),
)
def test_sample_weights(value: Tensor, baseline: Tensor) -> None:
    value, baseline = value.view(2, 3).requires_grad_(), baseline.view(2, 3)
    softmax = SoftmaxValueWeights()(value, None)
    # the weights of each t sum to B, so that the mean over the batch is a sum of softmax weights
    assert torch.allclose(softmax.sum(1), tensor([3.0, 3.0]))
    assert torch.allclose(softmax / 3, torch.softmax(value.detach(), 1))
    advantage = AdvantageWeights()(value, baseline)
    with np.errstate(over="ignore"):
        raw = np.exp((value.detach() - baseline).numpy() / 0.3333)
    assert np.allclose(advantage.numpy(), np.clip(raw, 0.1, 10.0))
    assert not softmax.requires_grad and not advantage.requires_grad
