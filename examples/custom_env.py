"""An environment of your own: a planar arm with two joints that reaches for a target.

    python -m mppi_zoo.run --gin tdmpc2_equiv --gin scale/laptop --task custom_env:Arm --steps 10000

from this folder trains on it; docs/your_own_environment.md explains each line. Run as a program, it
shows what an agent sees of it.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

LENGTH, INERTIA, FRICTION = 0.5, 0.05, 0.2  # m, kg m^2, N m s
TORQUE = np.array([1.0, 0.5], np.float32)  # N m, at most
STEP = 0.02  # s


def moved(
    position: np.ndarray, velocity: np.ndarray, torque: np.ndarray, seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """Joint angles and velocities after some seconds of constant torque."""
    for _ in range(max(1, round(seconds / 0.002))):
        velocity = velocity + 0.002 * (torque - FRICTION * velocity) / INERTIA
        position = position + 0.002 * velocity
    return position, velocity


def hand(position: np.ndarray) -> np.ndarray:
    """Where the hand is, [2] in m."""
    angles = np.cumsum(position)
    return LENGTH * np.array([np.cos(angles).sum(), np.sin(angles).sum()])


class Arm(gymnasium.Env):
    """Torques in, joints and target out; the reward is 1 at the target and falls with distance."""

    max_episode_steps = 100
    episodic = False  # no episode ends before its time
    restorable = True  # a simulation: mppi_zoo may play an episode again

    def __init__(self) -> None:
        def numbers(size: int) -> spaces.Box:
            return spaces.Box(-np.inf, np.inf, (size,), np.float64)

        self.observation_space = spaces.Dict(
            {"joints": numbers(2), "velocities": numbers(2), "to_target": numbers(2)}
        )
        self.action_space = spaces.Box(-TORQUE, TORQUE, dtype=np.float32)
        self.steps = 0
        self.position = self.velocity = self.target = np.zeros(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        super().reset(seed=seed)  # seeds self.np_random, the only source of chance here
        self.steps, self.velocity = 0, np.zeros(2)
        self.position = self.np_random.uniform(-1.0, 1.0, 2)
        self.target = hand(self.np_random.uniform(-1.0, 1.0, 2))
        return self._seen(), {}

    def step(
        self, action: np.ndarray
    ) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        self.position, self.velocity = moved(self.position, self.velocity, action, STEP)
        self.steps += 1
        distance = float(np.linalg.norm(self.target - hand(self.position)))
        reward = float(np.exp(-5 * distance))
        return self._seen(), reward, False, self.steps >= self.max_episode_steps, {}

    def _seen(self) -> dict[str, np.ndarray]:
        return {
            "joints": self.position.copy(),
            "velocities": self.velocity.copy(),
            "to_target": self.target - hand(self.position),
        }


def main() -> None:
    from mppi_zoo import envs

    env = envs.make("custom_env:Arm")
    obs, _ = env.reset(seed=0)
    print("an agent sees", obs.round(2), "of", env.unwrapped._seen())  # type: ignore
    print("and what it must know:", envs.spec_of(env))
    total = 0.0
    for _ in range(100):
        _, reward, *_ = env.step(env.action_space.sample())
        total += reward
    print(f"random actions in [-1, 1], mapped to torques: return {total:.1f} of at most 100")


if __name__ == "__main__":
    main()
