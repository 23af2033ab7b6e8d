"""The DeepMind Control Suite: ``dmc:<domain>-<task>``."""

from __future__ import annotations

import functools
import importlib
import math
import os
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from mppi_zoo.core.extras import require
from mppi_zoo.envs.matching import unknown_name
from mppi_zoo.envs.options import EnvOptions
from mppi_zoo.envs.rendering import quiet_gl_import, require_rendering
from mppi_zoo.envs.view import AgentEnv

DEFAULT_ACTION_REPEAT = 2
DOMAIN_ALIASES = {"cup": "ball_in_cup", "pointmass": "point_mass"}
# The camera that follows the body; in every other domain that is the suite's first camera.
CAMERAS = {"quadruped": 2}
# dm_control reports actuators without limits as bounded by MuJoCo's largest number.
UNBOUNDED = 1e10


class ControlSuiteEnv(gymnasium.Env):
    """A dm_control task as a Gymnasium environment.

    Observation [O] float32: the task's observations, flattened in dm_control's order. Action [A]
    within the task's bounds; actuators without bounds (lqr) take [-1, 1]. An episode is
    ``terminated`` when its last discount is 0, ``truncated`` when it ends for its time limit.

    Args:
        domain, task: names as in ``dm_control.suite.ALL_TASKS``.
        max_episode_steps: time limit in control steps; None keeps the task's own.
        render_mode: "rgb_array" or None.
        height, width: of the rendered images, in pixels.
        camera: index of the camera, None for the usual one of the domain.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}

    def __init__(
        self,
        domain: str,
        task: str,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        height: int = 240,
        width: int = 320,
        camera: int | None = None,
    ) -> None:
        # A seed at construction too, since lqr draws its physics only there.
        settings: dict[str, Any] = {"random": 0}
        if max_episode_steps is not None:
            settings["time_limit"] = math.inf
        self._env = _suite().load(domain, task, task_kwargs=settings)
        if render_mode is None:
            _forgo_rendering(self._env.physics)
        own_limit = self._env._step_limit
        if max_episode_steps is None and math.isfinite(own_limit):
            max_episode_steps = math.ceil(own_limit)
        self.max_episode_steps = max_episode_steps
        self.episodic = _can_terminate(self._env.task)
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": round(1 / self._env.control_timestep())}
        self._image = {"height": height, "width": width}
        self._image["camera_id"] = CAMERAS.get(domain, 0) if camera is None else camera
        self._seeded = False
        self._steps = 0

        obs_dim = sum(int(np.prod(s.shape)) for s in self._env.observation_spec().values())
        self.observation_space = spaces.Box(-np.inf, np.inf, (obs_dim,), np.float32)
        actuators = self._env.action_spec()
        free = (actuators.minimum <= -UNBOUNDED) | (actuators.maximum >= UNBOUNDED)
        self.action_space = spaces.Box(
            np.where(free, -1.0, actuators.minimum),
            np.where(free, 1.0, actuators.maximum),
            dtype=np.float64,
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode; a seed re-seeds the task's random state in place."""
        super().reset(seed=seed)
        if seed is None and not self._seeded:
            seed = int(self.np_random.integers(2**31))
        if seed is not None:
            self._env.task.random.seed(seed)
            self._seeded = True
        self._steps = 0
        return _flatten(self._env.reset().observation), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One control step with action [A]."""
        moment = self._env.step(action)
        self._steps += 1
        terminated = moment.last() and moment.discount == 0.0
        truncated = moment.last() and not terminated
        if self.max_episode_steps is not None and self._steps >= self.max_episode_steps:
            truncated = not terminated
        return _flatten(moment.observation), float(moment.reward), terminated, truncated, {}

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """Image [height, width, 3] uint8, or None without render_mode."""
        if self.render_mode is None:
            return None
        return self._env.physics.render(**self._image)

    def close(self) -> None:
        """Frees the physics and its rendering context."""
        self._env.close()


def make(name: str, options: EnvOptions, render: bool) -> AgentEnv:
    """The environment of ``dmc:<domain>-<task>``; action repeat 2 unless set.

    Dashes and underscores are equal, and so are cup and ball_in_cup, pointmass and point_mass.

    Raises:
        ValueError: no such task.
        RuntimeError: ``render`` where no image can be rendered.
    """
    domain, task = resolve(name)
    if render:
        require_rendering(f"dmc:{name}")
        _select_renderer()
    env = ControlSuiteEnv(
        domain,
        task,
        max_episode_steps=options.max_episode_steps,
        render_mode="rgb_array" if render else None,
    )
    return AgentEnv(
        env,
        task=f"dmc:{name}",
        action_repeat=options.action_repeat or DEFAULT_ACTION_REPEAT,
        max_episode_steps=env.max_episode_steps,
        episodic=env.episodic if options.episodic is None else options.episodic,
    )


def resolve(name: str) -> tuple[str, str]:
    """(domain, task) of a name such as "walker-walk", "finger-turn-hard" or "cup-catch".

    Raises:
        ValueError: no such task.
    """
    known = _names()
    domain, dash, task = name.partition("-")
    key = _fold(f"{DOMAIN_ALIASES.get(domain, domain)}{dash}{task}")
    if key not in known:
        raise unknown_name("dmc task", name, [f"{d}-{t}" for d, t in known.values()])
    return known[key]


def names() -> list[str]:
    """Names of all tasks."""
    return [f"{domain}-{task}".replace("_", "-") for domain, task in _names().values()]


def check_name(name: str) -> None:
    """Raise ValueError for a task that the suite does not have."""
    resolve(name)


@functools.lru_cache(maxsize=1)
def _names() -> dict[str, tuple[str, str]]:
    return {_fold(f"{d}-{t}"): (d, t) for d, t in _suite().ALL_TASKS}


def _fold(name: str) -> str:
    return name.replace("-", "_").lower()


def _suite() -> Any:
    try:
        require("train", "a task of dmc:", "dm_control")
    except ImportError as error:
        raise ImportError(
            f"{error} (on Python 3.13, where a package that dm_control asks for cannot be built: "
            "pip install --no-deps dm_control; or take the task as ep:<id>, such as "
            "ep:WalkerWalk-v1)",
            name="dm_control",
        ) from error
    with quiet_gl_import():
        return importlib.import_module("dm_control.suite")


def _can_terminate(task: Any) -> bool:
    # Only tasks that define their own get_termination (of the suite: lqr) can return discount 0.
    base = importlib.import_module("dm_control.rl.control").Task
    return type(task).get_termination is not base.get_termination


def _select_renderer() -> None:
    # dm_control chooses its backend once, when it is imported. If it was imported for an
    # environment without rendering, it has chosen glfw, which needs a display.
    renderer = importlib.import_module("dm_control._render")
    wanted = os.environ.get("MUJOCO_GL")
    if wanted and renderer.BACKEND != wanted:
        importlib.reload(renderer)


def _forgo_rendering(physics: Any) -> None:
    # At each reset, quadruped-escape sends its new terrain to the renderer if there is one, but
    # asking for the renderer creates it. Without OpenGL the reset would fail, and in a forked
    # process it would hang. So ``contexts`` says that there is no renderer.
    kind = type(physics)
    physics.__class__ = type(kind.__name__, (kind,), {"contexts": None})


def _flatten(observation: Mapping[str, Any]) -> np.ndarray:
    parts = [np.ravel(value) for value in observation.values()]
    return np.concatenate(parts, dtype=np.float32, casting="same_kind")
