"""HumanoidBench's tasks of the robot h1hand as Gymnasium environments."""

# MuJoCo's compiled modules carry no stubs.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium import spaces

from mppi_zoo.envs.humanoid_bench.model import GOAL, build_model
from mppi_zoo.envs.humanoid_bench.outcome import Memory
from mppi_zoo.envs.humanoid_bench.readings import Readings, Sensors
from mppi_zoo.envs.humanoid_bench.tasks import TASKS
from mppi_zoo.envs.matching import unknown_name
from mppi_zoo.envs.rendering import quiet_gl_import, require_rendering

SUBSTEPS = 10
RESET_NOISE = 0.01
CAMERA: dict[str, Any] = {"distance": 4.0, "azimuth": 145.0, "elevation": -15.0}


class HumanoidBenchEnv(gymnasium.Env):
    """One of the 14 locomotion tasks of the H1 with Shadow hands, 50 actions a second.

    Observation [O] float64: positions and velocities of all joints, of free props too; reach adds
    the left hand and the goal. O is 151; sit_hard and balance_simple 164; balance_hard 177; reach
    157. Action [61] float32 in [-1, 1], mapped to the position actuators' ranges. ``info`` holds
    the factors of the reward.

    Args:
        task: one of ``TASKS``, such as "walk".
        max_episode_steps: truncate after so many steps; None leaves it to the caller.
        render_mode: "rgb_array" or None.
        height, width: of the rendered images, in pixels.
        camera: settings of the camera, fields of MuJoCo's MjvCamera; it follows the pelvis.

    Raises:
        ValueError: no such task.
        ImportError: the package with the robot's meshes is missing.
        RuntimeError: ``render_mode`` where no image can be rendered.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50, "implementation": "mppi_zoo"}

    def __init__(
        self,
        task: str,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        height: int = 240,
        width: int = 320,
        camera: Mapping[str, Any] | None = None,
    ) -> None:
        if task not in TASKS:
            raise unknown_name("h1hand task", task, TASKS)
        if render_mode is not None:
            require_rendering(f"h1hand-{task}")
        self.task = TASKS[task]
        self.task_name = task
        self.max_episode_steps = max_episode_steps
        self.episodic = self.task.episodic
        self.success_bar = self.task.success_bar
        self.render_mode = render_mode
        self.model = build_model(self.task.scene, self.task.goal)
        self.data = mujoco.MjData(self.model)
        self._sensors = Sensors(self.model)
        self._memory = Memory()
        self._steps = 0
        self._height, self._width = height, width
        self._camera = {**CAMERA, **(camera or {})}
        self._renderer: Any = None

        # The original keeps the ranges as float32, and so the arithmetic of float32 actions.
        low, high = self.model.actuator_ctrlrange.astype(np.float32).T
        self._low, self._range = low, high - low
        self.action_space = spaces.Box(-1.0, 1.0, (self.model.nu,), np.float32)
        mujoco.mj_forward(self.model, self.data)
        obs_dim = len(self._observe(self._sensors.read(self.data)))
        self.observation_space = spaces.Box(-np.inf, np.inf, (obs_dim,), np.float64)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode from the keyframe with U(-0.01, 0.01) on every position."""
        super().reset(seed=seed)
        rng = self.np_random
        mujoco.mj_resetDataKeyframe(self.model, self.data, 0)
        self.data.qpos += rng.uniform(-RESET_NOISE, RESET_NOISE, self.model.nq)
        # Newer MuJoCo leaves the noisy quaternions as they are.
        mujoco.mj_normalizeQuat(self.model, self.data.qpos)
        self._memory = self.task.begin(self.data.qpos, rng)
        self._show_goal()
        mujoco.mj_forward(self.model, self.data)
        self._steps = 0
        return self._observe(self._sensors.read(self.data)), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Holds the targets of action [61] for ten physics steps.

        Raises:
            ValueError: the action has the wrong shape.
        """
        action = np.asarray(action)
        if action.shape != self._low.shape:
            raise ValueError(
                f"h1hand-{self.task_name}: the action has shape {action.shape}; "
                f"expected {self._low.shape}, one number in [-1, 1] per actuator"
            )
        self.data.ctrl[:] = (action + 1) / 2 * self._range + self._low
        mujoco.mj_step(self.model, self.data, SUBSTEPS)
        self._steps += 1
        obs, reward, terminated, info = self.evaluate()
        truncated = self.max_episode_steps is not None and self._steps >= self.max_episode_steps
        return obs, reward, terminated, truncated and not terminated, info

    def evaluate(self) -> tuple[np.ndarray, float, bool, dict[str, float]]:
        """Observation, reward, terminated and factors of the current state, without a step.

        In the maze it also moves the target to the next checkpoint.
        """
        readings = self._sensors.read(self.data)
        outcome = self.task.reward(readings, self._memory)
        self._memory = outcome.memory
        info = {"per_timestep_reward": outcome.reward, **outcome.factors}
        return self._observe(readings), outcome.reward, self.task.terminated(readings), info

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """Image [height, width, 3] uint8, or None without render_mode."""
        if self.render_mode is None:
            return None
        if self._renderer is None:
            self._renderer = self._new_renderer()
        return self._renderer.render(self.render_mode)

    def close(self) -> None:
        """Frees the rendering context."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _observe(self, readings: Readings) -> np.ndarray:
        added = self.task.observe(readings, self._memory)
        return np.concatenate([self.data.qpos, self.data.qvel, added])

    def _show_goal(self) -> None:
        if self.task.goal:
            index = self.model.body(GOAL).mocapid[0]
            self.data.mocap_pos[index] = self._memory.goal

    def _new_renderer(self) -> Any:
        with quiet_gl_import():
            from gymnasium.envs.mujoco.mujoco_rendering import MujocoRenderer
        camera = {
            "type": mujoco.mjtCamera.mjCAMERA_TRACKING,
            "trackbodyid": self.model.body("pelvis").id,
            **self._camera,
        }
        return MujocoRenderer(
            self.model,
            self.data,
            default_cam_config=camera,
            width=self._width,
            height=self._height,
            max_geom=2000,
        )
