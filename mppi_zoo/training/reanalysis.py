"""Lazy re-analysis: stored planner distributions, refreshed a slice at a time
(docs/method.md, section 5)."""

from __future__ import annotations

import torch

from mppi_zoo.agent.execution import Execution
from mppi_zoo.core.ranges import PositiveInt, Size
from mppi_zoo.core.registration import register
from mppi_zoo.core.types import Batch, Gaussian
from mppi_zoo.training.replay import Replay


@register
class Reanalysis:
    """Every ``interval`` updates the first ``count`` windows of the batch are planned anew.

    Args:
        interval: updates between two refreshes.
        count: windows refreshed, T states each.
    """

    def __init__(self, interval: PositiveInt = 10, count: Size = 20):
        self.interval, self.count = interval, count

    def states(self, window: int) -> int:
        """States planned anew together, for windows of that many steps."""
        return self.count * window

    def refresh(
        self,
        execution: Execution,
        replay: Replay,
        batch: Batch,
        update: int,
        generator: torch.Generator,
    ) -> Batch:
        """The batch to use in update number ``update``, re-planned and written back where due."""
        if update % self.interval:
            return batch
        obs = batch.obs[:-1, : self.count]
        flat = obs.flatten(0, 1)
        noise = execution.agent.draw_plan_noise(flat.shape[0], generator)
        result = execution.replan(flat, noise)
        fresh = Gaussian(*(field.unflatten(0, obs.shape[:2]) for field in result.dist))
        index = batch.index[:, : self.count]
        replay.write_plan(index, fresh)
        plan = Gaussian(*(field.clone() for field in batch.plan))
        for stored, new in zip(plan, fresh, strict=True):
            stored[:-1, : self.count] = new
        planned = batch.planned.clone()
        planned[:-1, : self.count] = True
        return batch._replace(plan=plan, planned=planned)


@register
class NoReanalysis:
    """Plans stay as they were when the step was taken."""

    interval = 1

    def states(self, window: int) -> int:
        """None."""
        return 0

    def refresh(
        self,
        execution: Execution,
        replay: Replay,
        batch: Batch,
        update: int,
        generator: torch.Generator,
    ) -> Batch:
        return batch
