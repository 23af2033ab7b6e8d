"""The native tasks: ``hb:h1hand-<task>``."""

from __future__ import annotations

from mppi_zoo.core.extras import require
from mppi_zoo.envs.humanoid_bench.registration import EPISODE_STEPS, ROBOT, TASK_NAMES
from mppi_zoo.envs.matching import unknown_name
from mppi_zoo.envs.options import EnvOptions
from mppi_zoo.envs.view import AgentEnv


def names() -> list[str]:
    """Names of all tasks."""
    return [f"{ROBOT}-{task}" for task in TASK_NAMES]


def check_name(name: str) -> None:
    """Raise ValueError for a task that is not there."""
    robot, dash, task = name.partition("-")
    if robot != ROBOT or not dash or task.replace("-", "_") not in TASK_NAMES:
        raise unknown_name("hb task", name, names())


def make(name: str, options: EnvOptions, render: bool) -> AgentEnv:
    """The environment of ``hb:h1hand-<task>``; action repeat 1 unless set.

    Dashes and underscores are equal.

    Raises:
        ValueError: no such task; other robots and tasks there are only as ``hbx:``.
        ImportError: the package with the robot's meshes is missing.
        RuntimeError: ``render`` where no image can be rendered.
    """
    check_name(name)
    task = name.partition("-")[2].replace("-", "_")
    require("train", f"hb:{name}", "mujoco")
    from mppi_zoo.envs.humanoid_bench.env import HumanoidBenchEnv  # after that check

    env = HumanoidBenchEnv(
        task,
        max_episode_steps=options.max_episode_steps or EPISODE_STEPS,
        render_mode="rgb_array" if render else None,
    )
    return AgentEnv(
        env,
        task=f"hb:{name}",
        action_repeat=options.action_repeat or 1,
        max_episode_steps=env.max_episode_steps,
        episodic=env.episodic if options.episodic is None else options.episodic,
    )
