"""Steps per second of the 14 native HumanoidBench tasks on one core, headless.

Random actions, resets at the end of an episode included. ``--steps`` sets the length.
"""

# MuJoCo's compiled modules carry no stubs.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import argparse
import time

import mujoco
import numpy as np

from mppi_zoo import envs
from mppi_zoo.envs.humanoid_bench.registration import TASK_NAMES


def steps_per_second(task: str, steps: int) -> float:
    """Agent steps a second of CPU time, observation and reward included."""
    env = envs.make(task)
    env.reset(seed=0)
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, 61)).astype(np.float32)
    start = time.process_time()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    rate = steps / (time.process_time() - start)
    env.close()
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1000)
    steps = parser.parse_args().steps
    print(f"mujoco {mujoco.__version__}, {steps} steps a task")
    for name in TASK_NAMES:
        print(f"hb:h1hand-{name:<15} {steps_per_second(f'hb:h1hand-{name}', steps):6.0f} steps/s")


if __name__ == "__main__":
    main()
