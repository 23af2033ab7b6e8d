"""Running scales follow their formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.objectives import tensor
from torch import Tensor

from mppi_zoo.objective.scale import RunningScale

batches = st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=40).map(tensor)


@given(seen=st.lists(batches, min_size=1, max_size=5), rate=st.floats(0.001, 1.0))
def test_running_scale(seen: list[Tensor], rate: float) -> None:
    scale, expected = RunningScale(rate).double(), 1.0
    for values in seen:
        scale.value.copy_(scale.moved(scale.value, values))
        p5, p95 = np.percentile(values.numpy(), [5, 95])
        expected += rate * (max(p95 - p5, 1.0) - expected)
        assert float(scale.value) == pytest.approx(expected, rel=1e-9)
        assert float(scale.value) >= 1 - 1e-12
