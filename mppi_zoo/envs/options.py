"""Settings of an environment that do not change its task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mppi_zoo.core.ranges import Positive, PositiveInt, Size
from mppi_zoo.core.registration import register


@register
@dataclass(frozen=True)
class EnvOptions:
    """Settings of an environment; None leaves a setting to the suite.

    Attributes:
        action_repeat: environment steps per agent step, >= 1; rewards are summed over them.
            Suite default: 2 for dmc, else 1.
        max_episode_steps: time limit in environment steps, that is before action repeat, as
            Gymnasium counts them. Suite default: the task's own limit.
        episodic: whether episodes can terminate. Suite default: what is known of the task.
        time_out: seconds that a step or reset may take before an environment in a process of its
            own (``--async-envs``) counts as hung.
        arguments: what the environment's constructor is given besides, by name; ``--env-arg``.
            Suites that take none refuse them.

    Raises:
        ValueError: a value is out of range.
    """

    action_repeat: Size | None = None
    max_episode_steps: PositiveInt | None = None
    episodic: bool | None = None
    time_out: Positive = 300.0
    arguments: Mapping[str, Any] | None = None


def refuse_taken(task: str, arguments: Mapping[str, Any], taken: Mapping[str, str]) -> None:
    """Refuse arguments that this package sets itself.

    Args:
        taken: their names, and what to use instead.

    Raises:
        ValueError: one of them was given.
    """
    for name in sorted(taken.keys() & arguments.keys()):
        raise ValueError(f"{task}: --env-arg {name}: this package sets it; use {taken[name]}")
