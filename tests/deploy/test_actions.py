"""Actions in the environment's own units, for any bounds and any number of the agent's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mppi_zoo.deploy.actions import ActionSpace

BOUNDS = st.floats(-1e6, 1e6, width=32)
UNITS = st.floats(-1.0, 1.0, width=32) | st.sampled_from([-1.0, 1.0])


@given(st.tuples(BOUNDS, BOUNDS), UNITS, st.sampled_from(["float32", "float64"]))
def test_no_rounding_leaves_the_bounds(bounds: tuple[float, float], unit: float, kind: str) -> None:
    low, high = sorted(bounds)
    space = ActionSpace([[low]], [[high]], kind, (1, 1))
    own = space.native(np.array([unit], np.float32))
    assert own.dtype == kind and own.shape == (1, 1)
    assert low <= own[0, 0] <= high
    if abs(unit) == 1:
        assert abs(own[0, 0] - (low if unit < 0 else high)) <= 1e-9 * (high - low)
    zero = space.native(space.zero)
    assert abs(zero[0, 0] - np.clip(0, low, high)) <= 1e-6 * (high - low)


def test_bounds_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="low at most high"):
        ActionSpace([1.0], [0.0])
    old = ActionSpace.from_json({"low": [-1.0], "high": [2.0]})  # of earlier versions
    assert old.dtype == np.float32 and old.shape == (1,)
