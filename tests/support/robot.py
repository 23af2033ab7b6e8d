"""A task that is one robot, and notes what is done to it: ``support.robot:Robot``."""

from __future__ import annotations

from typing import Any

import numpy as np

from mppi_zoo.envs.toy import Point

BUILT: list[Robot] = []


class Robot(Point):
    """It does not say whether it may be moved; episodes have 25 steps."""

    def __init__(self) -> None:
        super().__init__()
        BUILT.append(self)
        self.events: list[str] = []  # "reset", "step", and what tests add

    def reset(self, **keywords: Any) -> tuple[np.ndarray, dict[str, Any]]:
        self.events.append("reset")
        return super().reset(**keywords)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.events.append("step")
        return super().step(action)
