"""A planner from outside the package: draws sequences, keeps the best, reports a fixed spread."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mppi_zoo.core.ranges import Positive, Size
from mppi_zoo.core.registration import register
from mppi_zoo.core.rollout import discounted_rollout
from mppi_zoo.core.types import Gaussian
from mppi_zoo.planning.base import Planner, PlanningModel, PlanResult


class ShootingNoise(NamedTuple):
    """Every random draw of one plan."""

    candidates: Tensor  # [H, B, N, A] uniform in [-1, 1]
    terminal: Tensor  # [B, N, A] standard normal
    heads: Tensor  # [2] int64


@register
class RandomShooting(Planner):
    """The best of N uniform action sequences."""

    def __init__(self, horizon: Size = 3, samples: Size = 16, std: Positive = 0.3):
        self.horizon, self.samples, self.std = horizon, samples, std

    def draw_noise(
        self,
        batch: int,
        action_dim: int,
        heads: int,
        generator: torch.Generator | None,
        dtype: torch.dtype = torch.float32,
    ) -> ShootingNoise:
        device = None if generator is None else generator.device
        options = {"generator": generator, "device": device}
        shape = (batch, self.samples, action_dim)
        return ShootingNoise(
            2 * torch.rand(self.horizon, *shape, dtype=dtype, **options) - 1,
            torch.randn(shape, dtype=dtype, **options),
            torch.rand(heads, **options).argsort()[:2],
        )

    @torch.no_grad()
    def plan(
        self,
        z: Tensor,
        model: PlanningModel,
        noise: ShootingNoise,
        *,
        warm_start: Tensor | None = None,
        greedy: bool = False,
        step: Tensor | None = None,
    ) -> PlanResult:
        actions = noise.candidates
        last, total, discount = discounted_rollout(
            model.step, z.unsqueeze(1), lambda _, t: actions[t], self.horizon
        )
        value, best = (total + discount * model.value(last, noise.terminal, noise.heads)).max(1)
        rows = torch.arange(z.shape[0], device=z.device)
        plan = actions[:, rows, best]
        return PlanResult(
            plan[0], Gaussian(plan[0], torch.full_like(plan[0], self.std)), value, plan
        )

    def examine(
        self, z: Tensor, model: PlanningModel, noise: ShootingNoise
    ) -> tuple[PlanResult, dict[str, Tensor]]:
        result = self.plan(z, model, noise, greedy=True)
        return result, {"shooting_value": result.value.mean()}
