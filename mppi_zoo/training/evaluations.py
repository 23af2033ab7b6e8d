"""The evaluations of a training: between two of its units, or beside it in a process copy."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mppi_zoo.agent.execution import Execution
from mppi_zoo.runs.beside import Beside
from mppi_zoo.runs.metrics import MetricsLogger
from mppi_zoo.runs.progress import Progress
from mppi_zoo.training.callbacks import Callbacks
from mppi_zoo.training.diagnostics import Diagnostics
from mppi_zoo.training.evaluation import Episodes, Evaluator
from mppi_zoo.training.evaluation_record import EvaluationRecord
from mppi_zoo.training.replay import Replay
from mppi_zoo.training.trainer_state import TrainerState

NO_CALLBACKS = Callbacks()


class Evaluation(NamedTuple):
    """What an evaluation found."""

    step: int  # agent steps of the agent
    planner: Episodes
    policy: Episodes
    diagnosed: dict[str, float]
    best: bool  # whether no earlier agent had a higher return
    seconds: float


class NoEvaluations:
    """For a training whose agent is never evaluated.

    Attributes:
        wanted: whether evaluations take place.
        between_episodes: whether the training must not be within an episode then.
        under_way: the evaluation that runs beside the training.
        abandoned: whether one began that will have no result.
    """

    wanted = False
    between_episodes = False
    under_way: Beside[Evaluation] | None = None
    abandoned = False

    def may_begin(self, step: int, waiting: np.ndarray) -> bool:
        """Whether an evaluation at an agent step need not wait for the end of an episode.

        Args:
            waiting: [N] bool, the environments whose next episode has not begun.
        """
        return True

    def starts_beside(self, state: TrainerState) -> bool:
        """Whether an evaluation beside the training comes next.

        Only a checkpoint that is taken before it begins can repeat it: the agent learns on.
        """
        return False

    def evaluate(self, execution: Execution, replay: Replay, state: TrainerState) -> None:
        """Evaluate the agent as it is now, or begin to; no other evaluation may be under way.

        Args:
            state: says where the training is; learns of the best return.
        """

    def collect(self, state: TrainerState) -> None:
        """Record the evaluation under way, if it has ended."""

    def wait(self, state: TrainerState) -> None:
        """Record the evaluation under way once it has ended."""

    def abandon(self) -> None:
        """End the evaluation under way, if there is one, without a result."""


class Evaluations(NoEvaluations):
    """Evaluates an agent on whole episodes, records the outcome, keeps the latest and best agent.

    Args:
        evaluator: runs the episodes.
        last: agent step of the last evaluation, the only one that may be filmed.
        logger: of ``metrics.csv`` and ``timing.csv``.
        progress: what the user sees.
        folder: of the run, for agents and videos.
        film: whether the last one is filmed.
        beside: asked before each evaluation but the last, which has nothing to run beside: whether
            it runs on a copy of this process while the training goes on. Numbers and files are
            the same. None: never.
        callbacks: told of each.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        last: int,
        logger: MetricsLogger,
        progress: Progress,
        folder: Path,
        film: bool = False,
        beside: Callable[[], bool] | None = None,
        callbacks: Callbacks = NO_CALLBACKS,
    ):
        self.evaluator, self.last, self.logger = evaluator, last, logger
        self.film, self.beside, self.callbacks = film, beside, callbacks
        self.diagnostics = Diagnostics(evaluator.seed)
        self.record = EvaluationRecord(folder, logger, progress)
        self.wanted, self.between_episodes = True, evaluator.between_episodes
        self._asked: tuple[int, bool] | None = None  # the agent step that was asked for, the answer

    def may_begin(self, step: int, waiting: np.ndarray) -> bool:
        return not self.between_episodes or step >= self.last or bool(waiting.all())

    def starts_beside(self, state: TrainerState) -> bool:
        due = state.evaluation_due and not state.pretraining_left and self.under_way is None
        if not due or self.beside is None or state.step >= self.last:
            return False
        if self._asked is None or self._asked[0] != state.step:  # one answer for an evaluation
            self._asked = state.step, self.beside()
        return self._asked[1]

    def evaluate(self, execution: Execution, replay: Replay, state: TrainerState) -> None:
        if self.starts_beside(state):
            self.logger.hold()  # rows stay in the order of agent steps
            self.under_way = Beside(lambda: self._examine(execution, replay, state))
            state.evaluation_due = False
        else:
            evaluation = self._examine(execution, replay, state)  # abandoned, it stays due
            state.evaluation_due = False
            self._record(evaluation, state)

    def collect(self, state: TrainerState) -> None:
        if self.under_way is not None and self.under_way.ready():
            self._end(self.under_way, state)

    def wait(self, state: TrainerState) -> None:
        assert self.under_way is not None
        while not self.under_way.ready(timeout=0.2):
            self.evaluator.each_step()  # which may raise, to stop the run
        self._end(self.under_way, state)

    def abandon(self) -> None:
        if self.under_way is not None:
            self.under_way.abandon()
            self.under_way, self.abandoned = None, True
            self.logger.release()

    def _examine(self, execution: Execution, replay: Replay, state: TrainerState) -> Evaluation:
        begun, step, agent = time.perf_counter(), state.step, execution.agent
        planner = self.evaluator.planner(execution, step, film=self.film and step >= self.last)
        policy = self.evaluator.policy(agent, step)
        diagnosed = self.diagnostics.metrics(execution, replay, step, planner, policy)
        best = planner.mean_return > state.best_return
        self.record.agent(agent, step, best=best)
        return Evaluation(step, planner, policy, diagnosed, best, time.perf_counter() - begun)

    def _end(self, under_way: Beside[Evaluation], state: TrainerState) -> None:
        self.under_way, self.abandoned = None, True
        evaluation, self.abandoned = under_way.result(), False
        self.logger.release(lambda: self._record(evaluation, state))

    def _record(self, evaluation: Evaluation, state: TrainerState) -> None:
        step, planner, policy, diagnosed, best, seconds = evaluation
        if best:
            state.best_return = planner.mean_return
        self.record.episodes(step, planner, policy)
        self.logger.write(step, "diagnostic", diagnosed)
        self.logger.timing(step, {"evaluation_s": seconds})
        self.record.show(step, planner, policy)
        self.record.alarm(step)
        self.callbacks.note("on_evaluation", evaluation)


def evaluations_by(evaluator: Evaluator | None, *args: Any) -> NoEvaluations:
    """The evaluations by an evaluator, :class:`Evaluations` with these arguments; none without."""
    return NoEvaluations() if evaluator is None else Evaluations(evaluator, *args)
