"""Schedule and sizes of the training loop (docs/method.md, section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from mppi_zoo.core.ranges import Count, Environments, NonNegative, PositiveInt, Size
from mppi_zoo.core.registration import register
from mppi_zoo.training.control_rate import ControlRate
from mppi_zoo.training.update_timing import UpdateTiming

LEAST_SEED_STEPS = 1000
Kept = Annotated[int, Ge(2), Le(1000)]


@register
@dataclass(frozen=True)
class TrainingOptions:
    """All in agent steps (one environment step after action repeat).

    Attributes:
        steps: length of the training.
        seed_steps: random steps at first, then as many updates; None: max(1000, 5 episodes), in
            episodes of full length.
        seed_episodes: the random steps are over as soon as so many episodes have ended and 1000
            steps are taken; None: not before ``seed_steps``. Where episodes end early, the
            pretraining is shorter.
        batch_size: windows in an update.
        replay_capacity: rows of the replay; no more are reserved than the run can fill.
        updates_per_step: updates for each environment step; fractions are accumulated.
        eval_every: steps between evaluations; 0 switches them off.
        eval_episodes: episodes of an evaluation, planned as one batch.
        log_every: steps between two records of the losses.
        checkpoint_minutes: time between two checkpoints of the whole run; 0 writes none but the
            last, and those that signals ask for.
        checkpoints_kept: how many of them stay, at least 2, so that one that is found damaged
            has another before it.
        updates: when the updates are made; None: :class:`EveryStep`.
        rate: at which the environments are stepped; None: :class:`AsFastAsPossible`.
    """

    steps: PositiveInt = 1_000_000
    seed_steps: PositiveInt | None = None
    seed_episodes: PositiveInt | None = None
    batch_size: Size = 256
    replay_capacity: PositiveInt = 1_000_000
    updates_per_step: NonNegative = 1.0
    eval_every: Count = 50_000
    eval_episodes: Environments = 10
    log_every: PositiveInt = 500
    checkpoint_minutes: NonNegative = 5.0
    checkpoints_kept: Kept = 3
    updates: UpdateTiming | None = None
    rate: ControlRate | None = None

    def seed_phase(self, episode_length: int) -> int:
        """Random steps at the start of a run with episodes of that many agent steps, at most."""
        longest = max(LEAST_SEED_STEPS, 5 * episode_length)
        return longest if self.seed_steps is None else self.seed_steps

    def shortest_seed_phase(self, episode_length: int) -> int:
        """Its random steps if episodes end as early as ``seed_episodes`` reckons with."""
        longest = self.seed_phase(episode_length)
        return longest if self.seed_episodes is None else min(longest, LEAST_SEED_STEPS)

    def seeded_early(self, step: int, ended: int) -> bool:
        """Whether the random steps are over by ``seed_episodes``, when so many have ended."""
        least = step >= LEAST_SEED_STEPS
        return self.seed_episodes is not None and least and ended >= self.seed_episodes

    def evaluations(self, after: int = 0) -> int:
        """How many evaluations come after an agent step: one each interval, and one at the end."""
        if not self.eval_every or after >= self.steps:
            return 0
        return -(-self.steps // self.eval_every) - after // self.eval_every

    def evaluation_due(self, before: int, step: int) -> bool:
        """Whether the steps from ``before`` to ``step`` pass a multiple of the interval or the end.

        Evaluation must be on: ``eval_every`` >= 1.
        """
        return step // self.eval_every > before // self.eval_every or step >= self.steps

    def record_due(self, last: int, step: int) -> bool:
        """Whether a multiple of ``log_every`` lies between the last record of losses and a step."""
        return step // self.log_every > last // self.log_every
