"""Many environments in one: the arm of custom_env.py, N of them moved by the same NumPy calls.

    python -m mppi_zoo.run --gin tdmpc2_equiv --gin scale/laptop --task vec:batched_env:Arms \\
        --num-envs 16 --steps 20000

A simulator on a GPU (docs/environments.md) is used in the same way: a vector environment of
Gymnasium, built by a class or function with the arguments num_envs and seed. Run as a program, it
compares the speed with that of as many single arms.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import gymnasium
import numpy as np
from custom_env import FRICTION, INERTIA, LENGTH, STEP, TORQUE, Arm
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space


def hands(position: np.ndarray) -> np.ndarray:
    """Where the hands of joints [N, 2] are, [N, 2] in m."""
    angles = position.cumsum(1)
    return LENGTH * np.stack([np.cos(angles).sum(1), np.sin(angles).sum(1)], 1)


class Arms(VectorEnv):
    """N arms; an arm whose episode has ended waits until it is reset."""

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.DISABLED}
    max_episode_steps = Arm.max_episode_steps
    episodic = False

    def __init__(self, num_envs: int, seed: int):
        self.num_envs, self.draws = num_envs, np.random.default_rng(seed)
        single = Arm()
        self.single_observation_space = single.observation_space
        self.single_action_space = single.action_space
        self.observation_space = batch_space(single.observation_space, num_envs)
        self.action_space = batch_space(single.action_space, num_envs)
        self.position = np.zeros((num_envs, 2))
        self.velocity, self.target = self.position.copy(), self.position.copy()
        self.steps = np.zeros(num_envs, np.int64)

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All episodes begin, or those of ``options["reset_mask"]`` [N] bool."""
        if seed is not None:
            self.draws = np.random.default_rng(seed)
        whole = np.ones(self.num_envs, bool)
        mask = whole if options is None else options.get("reset_mask", whole)
        starts, ends = self.draws.uniform(-1.0, 1.0, (2, self.num_envs, 2))
        self.position[mask], self.velocity[mask] = starts[mask], 0.0
        self.target[mask], self.steps[mask] = hands(ends)[mask], 0
        return self._seen(), {}

    def step(
        self, actions: Any
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        torque = np.clip(actions, -TORQUE, TORQUE)
        for _ in range(round(STEP / 0.002)):
            self.velocity += 0.002 * (torque - FRICTION * self.velocity) / INERTIA
            self.position += 0.002 * self.velocity
        self.steps += 1
        distance = np.linalg.norm(self.target - hands(self.position), axis=1)
        terminated, truncated = np.zeros(self.num_envs, bool), self.steps >= self.max_episode_steps
        return self._seen(), np.exp(-5 * distance), terminated, truncated, {}

    def _seen(self) -> dict[str, np.ndarray]:
        return {
            "joints": self.position.copy(),
            "velocities": self.velocity.copy(),
            "to_target": self.target - hands(self.position),
        }


def steps_per_second(env: gymnasium.Env | VectorEnv, count: int) -> float:
    """Of all arms together."""
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(50)]
    begun = time.perf_counter()
    for action in actions:
        env.step(action)
    return 50 * count / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-envs", type=int, default=64)
    args = parser.parse_args()
    one, many = Arm(), Arms(args.num_envs, seed=0)
    print(f"one arm: {steps_per_second(one, 1):,.0f} steps/s", end="; ")
    print(f"{args.num_envs} in one: {steps_per_second(many, args.num_envs):,.0f} steps/s")


if __name__ == "__main__":
    main()
