"""The 14 tasks: scene, reward, termination, random start, additional observations."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mppi_zoo.envs.humanoid_bench import rewards, scenes
from mppi_zoo.envs.humanoid_bench.maze import maze
from mppi_zoo.envs.humanoid_bench.outcome import Memory, Reward
from mppi_zoo.envs.humanoid_bench.readings import Readings

GOAL_LOW, GOAL_HIGH = (-2.0, -2.0, 0.2), (2.0, 2.0, 2.0)


def never(readings: Readings) -> bool:
    """Episodes end only at the time limit."""
    return False


def below(readings: Readings, height: float) -> bool:
    """The pelvis is lower than ``height``."""
    return float(readings.pelvis[2]) < height


def toppled(readings: Readings) -> bool:
    """The torso is nearly horizontal."""
    return readings.torso_up < 0.1


def off_balance(readings: Readings) -> bool:
    """The pelvis is low, the floor touches robot or board, or the robot touches the sphere."""
    return below(readings, 0.8) or any(
        ("sphere" in pair and "floor" not in pair and "board" not in pair)
        or ("floor" in pair and "sphere" not in pair)
        for pair in readings.contacts
    )


def begin_plainly(qpos: np.ndarray, rng: np.random.Generator) -> Memory:
    """Adds nothing to the noise of every reset."""
    return Memory()


def begin_before_chair(qpos: np.ndarray, rng: np.random.Generator) -> Memory:
    """Puts the robot somewhere in front of the chair, turned about the vertical; edits ``qpos``."""
    qpos[0] = rng.uniform(0.2, 0.4)
    qpos[1] = rng.uniform(-0.15, 0.15)
    yaw = rng.uniform(-1.8, 1.8)
    qpos[3:7] = (math.cos(yaw / 2.0), 0.0, 0.0, math.sin(yaw / 2.0))
    return Memory()


def begin_with_goal(qpos: np.ndarray, rng: np.random.Generator) -> Memory:
    """Draws the goal of an episode."""
    x, y, z = rng.uniform(GOAL_LOW, GOAL_HIGH).tolist()
    return Memory(goal=(x, y, z))


def observe_nothing(readings: Readings, memory: Memory) -> tuple[float, ...]:
    """Positions and velocities are all that is observed."""
    return ()


def observe_hand_and_goal(readings: Readings, memory: Memory) -> tuple[float, ...]:
    """Left hand [3] and goal [3]."""
    return (*readings.left_hand.tolist(), *memory.goal)


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        scene: what stands around the robot.
        reward: of a step.
        success_bar: return from which the benchmark counts an episode as solved.
        terminated: whether the episode is over for good.
        begin: (qpos [nq], generator) -> memory, after the noise; may edit ``qpos``.
        observe: numbers observed after positions and velocities.
        goal: whether a goal is to be shown.
    """

    scene: scenes.Scene
    reward: Reward
    success_bar: float
    terminated: Callable[[Readings], bool] = functools.partial(below, height=0.2)
    begin: Callable[[np.ndarray, np.random.Generator], Memory] = begin_plainly
    observe: Callable[[Readings, Memory], tuple[float, ...]] = observe_nothing
    goal: bool = False

    @property
    def episodic(self) -> bool:
        """Whether episodes can terminate."""
        return self.terminated is not never


def _at(reward: Callable[..., object], **numbers: float) -> Reward:
    return functools.partial(reward, **numbers)  # type: ignore[return-value]


_WALK, _RUN, _STROLL = 1.0, 5.0, 0.5
_fallen_half = functools.partial(below, height=0.5)
_balance = _at(rewards.stand, height=2.02)

TASKS: dict[str, Task] = {
    "stand": Task(scenes.FLAT, rewards.stand, 800),
    "walk": Task(scenes.FLAT, _at(rewards.walk, speed=_WALK), 700),
    "run": Task(scenes.FLAT, _at(rewards.walk, speed=_RUN), 700),
    "hurdle": Task(scenes.hurdles(), _at(rewards.hurdle, speed=_RUN), 700),
    "crawl": Task(scenes.tunnel(), _at(rewards.crawl, speed=_WALK), 700, never),
    "maze": Task(scenes.maze(), maze, 1200),
    "sit_simple": Task(scenes.chair(free=False), rewards.sit, 750, _fallen_half),
    "sit_hard": Task(scenes.chair(free=True), rewards.sit, 750, _fallen_half, begin_before_chair),
    "balance_simple": Task(scenes.balance(free_sphere=False), _balance, 800, off_balance),
    "balance_hard": Task(scenes.balance(free_sphere=True), _balance, 800, off_balance),
    "stair": Task(scenes.stairs(), _at(rewards.climb, speed=_WALK), 700, toppled),
    "slide": Task(scenes.slides(), _at(rewards.climb, speed=_WALK), 700, toppled),
    "pole": Task(scenes.poles(), _at(rewards.pole, speed=_STROLL), 700, _fallen_half),
    "reach": Task(
        scenes.FLAT,
        rewards.reach,
        12000,
        never,
        begin_with_goal,
        observe_hand_and_goal,
        goal=True,
    ),
}
