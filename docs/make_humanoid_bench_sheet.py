"""A rendered image of each HumanoidBench scene: ``python docs/make_humanoid_bench_sheet.py``.

Needs ``mppi_zoo[humanoid]`` and a headless OpenGL. Each task is shown after a reset and a few steps
that hold the starting pose.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from mppi_zoo import envs
from mppi_zoo.envs.humanoid_bench.registration import TASK_NAMES

OUT = Path(__file__).resolve().parent / "images" / "humanoid_bench.png"
COLUMNS = 5
STEPS = 5

FREE = 0  # mujoco.mjtCamera.mjCAMERA_FREE


def _from(lookat: tuple[float, float, float], distance: float, azimuth: float, elevation: float):
    return {
        "type": FREE,
        "lookat": np.array(lookat),
        "distance": distance,
        "azimuth": azimuth,
        "elevation": elevation,
    }


# Tasks with more to see than the robot.
CAMERAS: dict[str, dict[str, Any]] = {
    "hurdle": _from((4.0, 0.5, 0.4), 10.0, 50.0, -20.0),
    "crawl": _from((1.2, 0.0, 0.9), 5.5, 50.0, -15.0),
    "maze": _from((2.9, 2.6, 0.0), 12.5, 90.0, -62.0),
    "sit_simple": _from((0.0, 0.0, 0.7), 3.6, 125.0, -15.0),
    "sit_hard": _from((0.0, 0.0, 0.7), 3.6, 125.0, -15.0),
    "balance_simple": _from((0.0, 0.0, 0.9), 4.0, 145.0, -12.0),
    "balance_hard": _from((0.0, 0.0, 0.9), 4.0, 145.0, -12.0),
    "stair": _from((2.5, 0.0, 0.6), 8.5, 65.0, -15.0),
    "slide": _from((5.0, 0.0, 0.8), 14.0, 65.0, -18.0),
    "pole": _from((2.0, 0.0, 0.9), 6.5, 30.0, -20.0),
    "reach": {"distance": 5.0},
}


def picture(task: str, height: int, width: int) -> np.ndarray:
    """Image [height, width, 3] uint8 of a task shortly after a reset."""
    from mppi_zoo.envs.humanoid_bench.env import HumanoidBenchEnv

    env = HumanoidBenchEnv(
        task, render_mode="rgb_array", height=height, width=width, camera=CAMERAS.get(task)
    )
    env.reset(seed=0)
    model = env.model
    joints = [model.actuator_trnid[i, 0] for i in range(21)]
    low, high = model.actuator_ctrlrange[:21].T
    held = model.key_qpos[0][model.jnt_qposadr[joints]]
    action = np.zeros(61, np.float32)
    action[:21] = 2.0 * (held - low) / (high - low) - 1.0
    for _ in range(STEPS):
        env.step(action)
    image = env.render()
    env.close()
    assert image is not None
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    available, detail = envs.rendering_available()
    if not available:
        raise SystemExit(detail)
    rows = -(-len(TASK_NAMES) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(15, 2.3 * rows), layout="constrained")
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, task in zip(axes.flat, TASK_NAMES, strict=False):
        axis.imshow(picture(task, 480, 640))
        axis.set_title(f"h1hand-{task}", fontsize=10)
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    main()
