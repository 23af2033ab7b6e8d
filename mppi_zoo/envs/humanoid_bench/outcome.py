"""What a reward function returns, and what some tasks remember between steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mppi_zoo.envs.humanoid_bench.parts import Vector
from mppi_zoo.envs.humanoid_bench.readings import Readings


class Memory(NamedTuple):
    """State of a task beyond the physics.

    Attributes:
        stage: maze: the checkpoint to be reached, 0 to 4.
        direction: maze: where to walk, along x and y.
        goal: reach: where the left hand shall be, m.
    """

    stage: int = 0
    direction: tuple[float, float] = (1.0, 0.0)
    goal: Vector = (0.0, 0.0, 0.0)


class Outcome(NamedTuple):
    """Reward of a step, its factors by the original's names, and the memory after the step."""

    reward: float
    factors: dict[str, float]
    memory: Memory


Reward = Callable[[Readings, Memory], Outcome]
