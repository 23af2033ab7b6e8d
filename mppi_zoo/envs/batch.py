"""What the episodes of several environments are played on: copies of one, or a native batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from gymnasium import spaces

from mppi_zoo.envs.view import EpisodeFacts


class Stepped(NamedTuple):
    """What one agent step of N environments gave; new arrays.

    Attributes:
        obs: [N, O] float32, after the step; an episode's last one where it ended.
        reward: [N] float32, summed over the action repeat; 0 where no step was taken.
        terminated, truncated: [N] bool.
        success: [N], 1 where the task is solved now, 0 where not, NaN where that is not told.
        taken: [N] bool, False where the environment only began its next episode, of which ``obs``
            is the first observation: there is no transition.
    """

    obs: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    success: np.ndarray
    taken: np.ndarray


class Batch(Protocol):
    """N environments of one task, with flat observations and actions in [-1, 1].

    Attributes:
        num_envs: N.
        facts: of each environment.
        action_bounds: ``low`` and ``high`` [A], ``dtype`` and ``shape`` of the environment's own
            actions.
        single_observation_space, single_action_space: the Box of each environment.
    """

    num_envs: int
    facts: EpisodeFacts
    action_bounds: dict[str, Any]
    single_observation_space: spaces.Box
    single_action_space: spaces.Box

    def reset(self, mask: np.ndarray, seeds: np.ndarray, anew: bool) -> np.ndarray:
        """Begin an episode in the environments of mask [N] bool.

        Args:
            seeds: [N] of the episodes, read within the mask.
            anew: whether all begin, and nothing may depend on what was played before.

        Returns:
            Observations [N, O]; any outside the mask.
        """
        ...

    def step(self, actions: np.ndarray) -> Stepped:
        """One agent step of each environment with actions [N, A]."""
        ...

    def probe(self) -> str:
        """Why an unfinished episode cannot be restored; empty if it can. Plays a few steps."""
        ...

    def step_seconds(self) -> float:
        """Seconds of an agent step of all environments, over N, as ``probe`` found it; or 0."""
        ...

    def restore(
        self, seeds: Sequence[int], actions: Sequence[np.ndarray]
    ) -> Sequence[np.ndarray | None]:
        """Play episodes again: with these seeds, the actions [k, A] of each environment.

        Returns:
            The last observation [O] of each; None where the episode could not be played again.
        """
        ...

    def render(self, index: int) -> np.ndarray:
        """Image [height, width, 3] uint8 of one environment; RuntimeError where there is none."""
        ...

    def close(self) -> None:
        """Free what the environments hold; further calls do nothing."""
        ...
