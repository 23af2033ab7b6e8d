"""The trainer's own state: how far the training is, and the episodes under way."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch

from mppi_zoo.runs.metrics import MetricsLogger
from mppi_zoo.runs.progress import Progress
from mppi_zoo.training.callbacks import Callbacks, Episode

PER_ENVIRONMENT = ("episode_return", "episode_length")
SUCCESS = "episode_success"  # kept apart, since earlier checkpoints have none


@dataclass
class TrainerState:
    """What the trainer counts. Agent, replay and environments keep states of their own.

    Attributes:
        episode_return: [N] float64, rewards so far of the episode under way in each environment.
        episode_length: [N] int64, its agent steps so far.
        step: agent steps taken, over all environments.
        updates: updates made, those of the pretraining included.
        updates_owed: updates that the steps taken have earned and that are not made yet; a
            fraction of one is carried over.
        pretraining_left: updates of the pretraining that are not made yet.
        evaluation_due: whether an evaluation comes next.
        best_return: the highest mean return of an evaluation, with the planner.
        last_log: agent step of the last record of the losses.
        episode_success: [N], of the episode under way: 1 once its task was solved, 0 before that,
            NaN where the environment does not say.
    """

    episode_return: np.ndarray
    episode_length: np.ndarray
    step: int = 0
    updates: int = 0
    updates_owed: float = 0.0
    pretraining_left: int = 0
    evaluation_due: bool = False
    best_return: float = float("-inf")
    last_log: int = 0
    episode_success: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        if not self.episode_success.size:
            self.episode_success = np.full(len(self.episode_return), np.nan)

    @classmethod
    def initial(cls, num_envs: int) -> TrainerState:
        """The state before the first step of that many environments."""
        return cls(np.zeros(num_envs), np.zeros(num_envs, dtype=np.int64))

    def begin_episodes(self, mask: np.ndarray) -> None:
        """Start counting anew in the environments of mask [N] bool."""
        self.episode_return[mask] = 0
        self.episode_length[mask] = 0
        self.episode_success[mask] = np.nan

    def count(self, reward: np.ndarray, taken: np.ndarray, success: np.ndarray) -> None:
        """Count a step of the environments.

        Args:
            reward: [N]; taken: [N] bool, who took a step.
            success: [N], 1 where the task is solved now, 0 where not, NaN where it is not told.
        """
        self.step += int(taken.sum())
        self.episode_return += reward
        self.episode_length += taken
        self.episode_success = np.fmax(self.episode_success, success)

    def episode_metrics(self, env: int) -> dict[str, float]:
        """Of the episode under way in an environment; without success where it does not say."""
        names = [*PER_ENVIRONMENT, *([] if np.isnan(self.episode_success[env]) else [SUCCESS])]
        return {name: getattr(self, name)[env] for name in names}

    def state_dict(self) -> dict[str, Any]:
        """The state as plain data for a checkpoint; a copy."""
        apart = (*PER_ENVIRONMENT, SUCCESS)
        names = [entry.name for entry in fields(self) if entry.name not in apart]
        return {
            "counters": {name: getattr(self, name) for name in names},
            **{name: torch.tensor(getattr(self, name)) for name in apart},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave; other entries of ``state`` are left alone.

        Raises:
            KeyError: an entry is missing.
            ValueError: the state is of a run with another number of environments.
        """
        for name in PER_ENVIRONMENT:
            expected, found = len(getattr(self, name)), len(state[name])
            if found != expected:
                raise ValueError(
                    f"{name} is of {found} environments, expected {expected}: resume with the "
                    "--num-envs of the run"
                )
        self.episode_success = (
            state[SUCCESS].numpy().copy()
            if SUCCESS in state
            else np.full(len(self.episode_return), np.nan)
        )
        for name in (entry.name for entry in fields(self) if entry.name != SUCCESS):
            if name in PER_ENVIRONMENT:
                value = state[name].numpy().copy()
            else:
                value = state["counters"][name]
            setattr(self, name, value)


def record_ended(
    state: TrainerState,
    done: np.ndarray,
    logger: MetricsLogger,
    progress: Progress,
    callbacks: Callbacks,
) -> None:
    """Write return and length of the episodes that ended, done [N] bool; tell who listens."""
    for env in np.flatnonzero(done):
        total, length = float(state.episode_return[env]), int(state.episode_length[env])
        logger.write(state.step, "train", state.episode_metrics(int(env)))
        progress.update(state.step, episode_return=total)
        callbacks.note("on_episode", Episode(state.step, int(env), total, length))
