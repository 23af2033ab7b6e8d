"""A batch of copies of one environment, stepped in a loop or by a process each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from mppi_zoo.envs.batch import Stepped
from mppi_zoo.envs.success import successes


class Copies:
    """A :class:`mppi_zoo.envs.batch.Batch` over ``envs.make_vector``.

    Args:
        vector: of AgentEnvs, with autoreset disabled.
    """

    def __init__(self, vector: VectorEnv) -> None:
        # Any, since VectorEnv's annotations lack methods that both of its subclasses have.
        self.vector: Any = vector
        self.num_envs = self.vector.num_envs
        self.single_action_space = self.vector.single_action_space
        self.single_observation_space = self.vector.single_observation_space
        self.facts = self.vector.get_attr("facts")[0]
        self.action_bounds: dict[str, Any] = self.vector.get_attr("action_bounds")[0]

    def reset(self, mask: np.ndarray, seeds: np.ndarray, anew: bool) -> np.ndarray:
        """See Batch; every episode has its seed."""
        chosen = [int(s) if begins else None for s, begins in zip(seeds, mask, strict=True)]
        # A new dictionary and a copy of the mask, since gymnasium changes both.
        obs, _ = self.vector.reset(seed=chosen, options={"reset_mask": mask.copy()})
        return obs

    def step(self, actions: np.ndarray) -> Stepped:
        """See Batch."""
        obs, reward, terminated, truncated, info = self.vector.step(actions)
        reward = reward.astype(np.float32)
        taken = np.ones(self.num_envs, dtype=bool)
        solved = successes(info, self.num_envs)
        return Stepped(obs, reward, terminated, truncated, solved, taken)

    def probe(self) -> str:
        """See Batch; plays in every environment."""
        return next((reason for reason in self.vector.call("probe") if reason), "")

    def step_seconds(self) -> float:
        """See Batch. Environments with processes of their own share the time."""
        seconds = self.vector.get_attr("step_seconds")
        together = sum(seconds) if hasattr(self.vector, "envs") else max(seconds)
        return together / self.num_envs

    def restore(
        self, seeds: Sequence[int], actions: Sequence[np.ndarray]
    ) -> Sequence[np.ndarray | None]:
        """See Batch. Environments that may not be moved for that are not."""
        if not all(self.vector.get_attr("restorable")):
            return [None] * self.num_envs
        # First a reset through the vector, so that it notes that all episodes have begun.
        self.vector.reset(seed=list(seeds))
        self.vector.set_attr("history", list(zip(seeds, actions, strict=True)))
        return self.vector.call("replay_history")

    def render(self, index: int) -> np.ndarray:
        """See Batch."""
        if self.vector.render_mode is None:
            raise RuntimeError(
                f"{self.facts.task} was made without rendering; build EpisodeVector with "
                "render=True"
            )
        return np.asarray(self.vector.envs[index].render())

    def close(self) -> None:
        """See Batch."""
        self.vector.close()
