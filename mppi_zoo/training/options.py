"""Schedule and sizes of the training loop (docs/method.md, section 6)."""

from __future__ import annotations

from dataclasses import dataclass

import gin


@gin.register
@dataclass(frozen=True)
class TrainingOptions:
    """All in agent steps (one environment step after action repeat).

    Attributes:
        steps: length of the training.
        seed_steps: random steps at first, then as many updates; None: max(1000, 5 episodes).
        batch_size: windows in an update.
        replay_capacity: rows of the replay; no more are reserved than the run can fill.
        updates_per_step: updates for each environment step; fractions are accumulated.
        eval_every: steps between evaluations; 0 switches them off.
        eval_episodes: episodes of an evaluation, planned as one batch.
        log_every: steps between two records of the losses.
        checkpoint_minutes: time between two checkpoints of the whole run; 0 writes none but the
            last, and those that signals ask for.
        checkpoints_kept: how many of them stay, at least 2.
    """

    steps: int = 1_000_000
    seed_steps: int | None = None
    batch_size: int = 256
    replay_capacity: int = 1_000_000
    updates_per_step: float = 1.0
    eval_every: int = 50_000
    eval_episodes: int = 10
    log_every: int = 500
    checkpoint_minutes: float = 5.0
    checkpoints_kept: int = 3

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "replay_capacity", "eval_episodes", "log_every"):
            value = getattr(self, name)
            if not (isinstance(value, int) and value >= 1):
                raise ValueError(f"TrainingOptions.{name} = {value!r}: expected an integer >= 1")
        if self.seed_steps is not None and self.seed_steps < 1:
            raise ValueError(
                f"TrainingOptions.seed_steps = {self.seed_steps}: expected >= 1 or None"
            )
        if self.checkpoint_minutes < 0:
            raise ValueError(
                f"TrainingOptions.checkpoint_minutes = {self.checkpoint_minutes}: expected >= 0"
            )
        if self.checkpoints_kept < 2:
            raise ValueError(
                f"TrainingOptions.checkpoints_kept = {self.checkpoints_kept}: expected at least 2, "
                "so that one that is found damaged has another before it"
            )
        if self.updates_per_step < 0:
            raise ValueError(
                f"TrainingOptions.updates_per_step = {self.updates_per_step}: expected >= 0"
            )
        if self.eval_every < 0:
            raise ValueError(f"TrainingOptions.eval_every = {self.eval_every}: expected >= 0")

    def seed_phase(self, episode_length: int) -> int:
        """Random steps at the start of a run with episodes of that many agent steps."""
        return max(1000, 5 * episode_length) if self.seed_steps is None else self.seed_steps

    def evaluation_due(self, before: int, step: int) -> bool:
        """Whether the steps from ``before`` to ``step`` pass a multiple of the interval or the end.

        Evaluation must be on: ``eval_every`` >= 1.
        """
        return step // self.eval_every > before // self.eval_every or step >= self.steps

    def record_due(self, last: int, step: int) -> bool:
        """Whether a multiple of ``log_every`` lies between the last record of losses and a step."""
        return step // self.log_every > last // self.log_every
