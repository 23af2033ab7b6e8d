"""Gymnasium ids of the tasks, ``mppi_zoo/h1hand-<task>-v0``; imports no simulator."""

from __future__ import annotations

import gymnasium

ROBOT = "h1hand"
TASK_NAMES = (
    "stand",
    "walk",
    "run",
    "hurdle",
    "crawl",
    "maze",
    "sit_simple",
    "sit_hard",
    "balance_simple",
    "balance_hard",
    "stair",
    "slide",
    "pole",
    "reach",
)
EPISODE_STEPS = 1000
ENTRY_POINT = "mppi_zoo.envs.humanoid_bench.env:HumanoidBenchEnv"


def gymnasium_id(task: str) -> str:
    """The id under which a task is registered."""
    return f"mppi_zoo/{ROBOT}-{task}-v0"


def register() -> None:
    """Adds the tasks to Gymnasium's registry; a second call changes nothing."""
    for task in TASK_NAMES:
        if gymnasium_id(task) not in gymnasium.registry:
            gymnasium.register(
                gymnasium_id(task),
                entry_point=ENTRY_POINT,
                max_episode_steps=EPISODE_STEPS,
                kwargs={"task": task},
            )
