"""Actions in the environment's own units: never outside of its bounds, not by a rounding either."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from mppi_zoo.envs.actions import ActionMap


class ActionSpace:
    """The environment's own actions, and how they lie in the agent's [-1, 1].

    Args:
        low, high: [A] bounds, numbers that ``dtype`` has exactly.
        dtype: of the environment's actions.
        shape: of one of them; None: [A].

    Raises:
        ValueError: the bounds are not finite or not in order.
    """

    def __init__(
        self,
        low: Any,
        high: Any,
        dtype: str = "float32",
        shape: tuple[int, ...] | None = None,
    ):
        self.dtype = np.dtype(dtype)
        self.low, self.high = (
            np.asarray(bound).astype(self.dtype).astype(np.float64).ravel() for bound in (low, high)
        )
        self.shape = self.low.shape if shape is None else tuple(shape)
        if not (np.isfinite(self.low) & np.isfinite(self.high) & (self.low <= self.high)).all():
            raise ValueError(
                f"action bounds low={self.low.tolist()}, high={self.high.tolist()}: expected "
                "finite numbers, low at most high"
            )
        low, high = (
            bound.astype(self.dtype).reshape(self.shape) for bound in (self.low, self.high)
        )
        self._map = ActionMap(spaces.Box(low, high, dtype=self.dtype.type))

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ActionSpace:
        """From ``action_bounds`` of a run folder's ``run.json``."""
        shape = record.get("shape")
        return cls(
            record["low"],
            record["high"],
            record.get("dtype", "float32"),
            None if shape is None else tuple(shape),
        )

    @property
    def zero(self) -> np.ndarray:
        """[A] in [-1, 1]: the environment's 0, or what its bounds allow that is nearest to it."""
        span = np.where(self.high > self.low, self.high - self.low, 1.0)
        return np.clip(2 * (np.clip(0.0, self.low, self.high) - self.low) / span - 1, -1.0, 1.0)

    def native(self, action: np.ndarray) -> np.ndarray:
        """Actions [..., A] in [-1, 1] in the environment's units, dtype and shape.

        As the environments of this package compute them, in float64 and clipped there; the bounds
        are numbers of the dtype, so that rounding to it cannot leave them.
        """
        return self._map.inner(action.astype(np.float64))
