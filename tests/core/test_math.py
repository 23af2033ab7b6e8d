"""The transforms of returns."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from mppi_zoo.core.math import symexp, symlog


@given(x=st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=10))
def test_symexp_inverts_symlog(x: list[float]) -> None:
    values = torch.tensor(x, dtype=torch.float64)
    logs = symlog(values)
    assert torch.allclose(symexp(logs), values, rtol=1e-12)
    assert torch.equal(symlog(-values), -logs)
    assert np.allclose(logs.abs().numpy(), [math.log1p(abs(v)) for v in x], rtol=1e-12)
