"""Tiny environments with a known optimum, for tests: numpy only, microseconds a step."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from mppi_zoo.envs.matching import unknown_name
from mppi_zoo.envs.options import EnvOptions
from mppi_zoo.envs.view import AgentEnv

EPISODE_STEPS = 25
STEP_SIZE = 0.2


class Point(gymnasium.Env):
    """A point in the square [-1, 1]^2, moved by 0.2 * action a step.

    The reward is 1 - |a + p|^2 / 2 at position p. At every position it is concave in the action,
    with its maximum of 1 at a = -p. So a = -p is optimal for any horizon, and the best return is
    the number of steps. Observation [2]: the position. Without termination the walls stop the
    point; with termination, crossing them ends the episode (which the optimal policy never does).

    Args:
        terminating: end the episode on leaving the square.
        episode_steps: time limit, in steps.
        render_mode: "rgb_array" or None.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(
        self,
        terminating: bool = False,
        episode_steps: int = EPISODE_STEPS,
        render_mode: str | None = None,
    ) -> None:
        self.observation_space = spaces.Box(-2.0, 2.0, (2,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.render_mode = render_mode
        self.episodic = terminating
        self.max_episode_steps = episode_steps
        self._position = (0.0, 0.0)
        self._steps = 0

    @staticmethod
    def optimal_action(obs: np.ndarray) -> np.ndarray:
        """The best action [..., 2] at observations [..., 2]."""
        return np.clip(-np.asarray(obs, dtype=np.float32), -1.0, 1.0)

    @property
    def optimal_return(self) -> float:
        """Undiscounted return of an episode under ``optimal_action``."""
        return float(self.max_episode_steps)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts at a uniform position in [-0.9, 0.9]^2; observation [2]."""
        super().reset(seed=seed)
        x, y = self.np_random.uniform(-0.9, 0.9, 2).tolist()
        self._position = (x, y)
        self._steps = 0
        return np.array(self._position, dtype=np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Moves by action [2]; the reward reads the position before the move."""
        # Python floats: for two numbers they are several times faster than arrays.
        x, y = self._position
        ax, ay = float(action[0]), float(action[1])
        reward = 1.0 - 0.5 * ((ax + x) ** 2 + (ay + y) ** 2)
        x, y = x + STEP_SIZE * ax, y + STEP_SIZE * ay
        terminated = self.episodic and max(abs(x), abs(y)) > 1.0
        if not self.episodic:
            x, y = min(max(x, -1.0), 1.0), min(max(y, -1.0), 1.0)
        self._position = (x, y)
        self._steps += 1
        truncated = self._steps >= self.max_episode_steps
        return np.array(self._position, dtype=np.float32), reward, terminated, truncated, {}

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """The square as an image [64, 64, 3] uint8, the point white; None without render_mode."""
        if self.render_mode is None:
            return None
        frame = np.zeros((64, 64, 3), dtype=np.uint8)
        column, row = (int(round((min(max(p, -1.0), 1.0) + 1.0) * 30.0)) for p in self._position)
        frame[60 - row : 64 - row, column : column + 4] = 255
        return frame


TASKS = {"point": False, "point-terminating": True}


def names() -> list[str]:
    """Names of all tasks."""
    return list(TASKS)


def check_name(name: str) -> None:
    """Raise ValueError for a task that does not exist."""
    if name not in TASKS:
        raise unknown_name("toy task", name, TASKS)


def make(name: str, options: EnvOptions, render: bool) -> AgentEnv:
    """The environment of ``toy:<name>``.

    Raises:
        ValueError: no such task.
    """
    check_name(name)
    env = Point(
        terminating=TASKS[name],
        episode_steps=options.max_episode_steps or EPISODE_STEPS,
        render_mode="rgb_array" if render else None,
    )
    return AgentEnv(
        env,
        task=f"toy:{name}",
        action_repeat=options.action_repeat or 1,
        max_episode_steps=env.max_episode_steps,
        episodic=TASKS[name] if options.episodic is None else options.episodic,
    )
