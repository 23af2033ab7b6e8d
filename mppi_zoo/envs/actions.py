"""Actions in [-1, 1] onto an environment's own bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces


class ActionMap:
    """Maps [-1, 1] affinely onto the bounds of an action space, its ends exactly onto them.

    Args:
        bounds: with finite bounds.

    Attributes:
        low, high: [A] float64, the bounds.
        space: Box(-1, 1, [A], float32), what agents act in.
    """

    def __init__(self, bounds: spaces.Box) -> None:
        self.low = bounds.low.astype(np.float64).ravel()
        self.high = bounds.high.astype(np.float64).ravel()
        self.space = spaces.Box(-1.0, 1.0, self.low.shape, np.float32)
        self._shape, self._dtype = bounds.shape, bounds.dtype
        self._half_range = (self.high - self.low) / 2.0
        self._rescales = bool(np.any(self.low != -1.0) or np.any(self.high != 1.0))
        self._lower = np.full(self.low.shape, -1.0)
        self._upper = np.full(self.low.shape, 1.0)

    def bounds(self) -> dict[str, Any]:
        """``low`` and ``high`` [A] in the environment's own units, ``dtype`` and ``shape``."""
        return {
            "low": self.low.tolist(),
            "high": self.high.tolist(),
            "dtype": str(self._dtype),
            "shape": list(self._shape),
        }

    def inner(self, unit: np.ndarray) -> np.ndarray:
        """The environment's actions [..., *its shape] for actions [..., A], clipped to [-1, 1]."""
        inner = np.minimum(np.maximum(unit, self._lower), self._upper)
        if self._rescales:
            # Rounding may exceed the bounds by one unit in the last place, which some environments
            # refuse.
            inner = self.low + (inner + 1.0) * self._half_range
            inner = np.minimum(np.maximum(inner, self.low), self.high)
        return inner.astype(self._dtype).reshape(unit.shape[:-1] + self._shape)
