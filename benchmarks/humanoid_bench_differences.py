"""How far the native HumanoidBench tasks drift from the original program, under one MuJoCo.

    HUMANOID_BENCH_HOME=<clone> python benchmarks/humanoid_bench_differences.py

Both start from the same states and take the same random actions. What differs is the shape of feet
and fingertips, so contacts; and contacts are chaotic, hence the third column of numbers: the
original against itself started 1e-10 away. Then the steps until a fall under random actions.
"""

# MuJoCo's compiled modules carry no stubs.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import argparse
from typing import Any

import mujoco
import numpy as np

from mppi_zoo import envs
from mppi_zoo.envs.humanoid_bench.registration import TASK_NAMES

NUDGE = 1e-10
FALLS = ("stand", "balance_hard")


def start(env: Any, qpos: np.ndarray) -> None:
    """Puts the simulation at ``qpos``, at rest."""
    inner = env.unwrapped
    mujoco.mj_resetData(inner.model, inner.data)
    inner.data.qpos[:] = qpos
    mujoco.mj_forward(inner.model, inner.data)


def drift(task: str, rollouts: int, steps: int) -> np.ndarray:
    """Median over rollouts of max |qpos difference| [2, steps]: native, nudged original."""
    native, original, nudged = (
        envs.make(f"{suite}:h1hand-{task}") for suite in ("hb", "hbx", "hbx")
    )
    found = np.zeros((rollouts, 2, steps))
    for rollout in range(rollouts):
        for env in (native, original, nudged):
            env.reset(seed=rollout)
        inner: Any = native.unwrapped
        qpos = inner.data.qpos.copy()
        for env, offset in ((native, 0.0), (original, 0.0), (nudged, NUDGE)):
            start(env, qpos + offset)
        rng = np.random.default_rng(rollout)
        for step in range(steps):
            action = rng.uniform(-1, 1, 61).astype(np.float32)
            for env in (native, original, nudged):
                env.step(action)
            reference = original.unwrapped.data.qpos  # type: ignore[attr-defined]
            for i, env in enumerate((native, nudged)):
                inner = env.unwrapped
                found[rollout, i, step] = np.abs(inner.data.qpos - reference).max()
    for env in (native, original, nudged):
        env.close()
    return np.median(found, axis=0)


def falls(name: str, rollouts: int) -> np.ndarray:
    """Steps until termination [rollouts] under uniform actions."""
    env = envs.make(name)
    rng = np.random.default_rng(1)
    lengths = []
    for rollout in range(rollouts):
        env.reset(seed=rollout)
        length, over = 0, False
        while not over:
            _, _, terminated, truncated, _ = env.step(rng.uniform(-1, 1, 61).astype(np.float32))
            length, over = length + 1, terminated or truncated
        lengths.append(length)
    env.close()
    return np.array(lengths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=8)
    parser.add_argument("--falls", type=int, default=40)
    arguments = parser.parse_args()
    print(f"mujoco {mujoco.__version__}; median over {arguments.rollouts} rollouts")
    print("| task | after 1 step | after 20 steps | original nudged, after 20 steps |")
    print("|---|---|---|---|")
    for task in TASK_NAMES:
        native, nudged = drift(task, arguments.rollouts, 20)
        print(f"| {task} | {native[0]:.1g} | {native[-1]:.1g} | {nudged[-1]:.1g} |", flush=True)
    for task in FALLS:
        for suite in ("hb", "hbx"):
            steps = falls(f"{suite}:h1hand-{task}", arguments.falls)
            error = steps.std(ddof=1) / np.sqrt(len(steps))
            print(f"{suite}:h1hand-{task}: falls after {steps.mean():.1f} ± {error:.1f} steps")


if __name__ == "__main__":
    main()
