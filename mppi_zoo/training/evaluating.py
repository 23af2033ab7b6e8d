"""One evaluation of a training: run, recorded, and the agent kept."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mppi_zoo.training.trainer import Trainer


def evaluate(trainer: Trainer) -> None:
    """Run episodes with the planner and with the bare policy; record them, keep the agent."""
    evaluator, agent, state = trainer.evaluator, trainer.agent, trainer.state
    assert evaluator is not None
    begun = time.perf_counter()

    # run the episodes; until they are complete the evaluation stays due
    film = trainer.film and state.step >= trainer.options.steps
    planner = evaluator.planner(trainer.execution, state.step, film=film)
    policy = evaluator.policy(agent, state.step)
    state.evaluation_due = False

    # record
    record = trainer.evaluation_record
    record.episodes(state.step, planner, policy)
    diagnosed = trainer.diagnostics.metrics(
        trainer.execution, trainer.replay, state.step, planner, policy
    )
    trainer.logger.write(state.step, "diagnostic", diagnosed)
    trainer.logger.timing(state.step, {"evaluation_s": time.perf_counter() - begun})

    # keep the latest agent and the best
    best = planner.mean_return > state.best_return
    if best:
        state.best_return = planner.mean_return
    record.agent(agent, state.step, best=best)

    record.show(state.step, planner, policy)
    trainer.stopwatch.pause(begun)
