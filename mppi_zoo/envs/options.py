"""Settings of an environment that do not change its task."""

from __future__ import annotations

from dataclasses import dataclass

import gin


@gin.register
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

    Raises:
        ValueError: a value is out of range.
    """

    action_repeat: int | None = None
    max_episode_steps: int | None = None
    episodic: bool | None = None
    time_out: float = 300.0

    def __post_init__(self) -> None:
        for name in ("action_repeat", "max_episode_steps"):
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"EnvOptions.{name} is {value!r}; expected an integer >= 1, "
                    "or None for the suite's default"
                )
        if self.episodic not in (None, True, False):
            raise ValueError(
                f"EnvOptions.episodic is {self.episodic!r}; expected True, False, "
                "or None for what is known of the task"
            )
        if not self.time_out > 0:
            raise ValueError(
                f"EnvOptions.time_out is {self.time_out!r}; expected a positive number of seconds"
            )
