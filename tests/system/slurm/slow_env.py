"""A task that takes its time: ``slow_env:SlowPoint``, with ``SLOW_ENV_SECONDS`` for each step."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from mppi_zoo.envs.toy import Point


class SlowPoint(Point):
    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        time.sleep(float(os.environ.get("SLOW_ENV_SECONDS", 0)))
        return super().step(action)


class Broken(Point):
    """Raises once it has run a while, every time, but not while it is tried before the run."""

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.steps_taken = getattr(self, "steps_taken", 0) + 1
        if self.steps_taken > 45:
            raise ZeroDivisionError("a bug of mine")
        return super().step(action)
