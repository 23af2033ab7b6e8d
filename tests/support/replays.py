"""Replays filled with random steps, and every window of one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from mppi_zoo.core.types import Batch, EnvSpec, Gaussian
from mppi_zoo.training.replay import Replay

SPEC = EnvSpec(obs_dim=2, action_dim=2, episode_length=100)


class EveryWindow(np.random.Generator):
    """Instead of drawing: 0, 1, 2 ..., so that one sample holds each window once."""

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))

    def integers(self, low: int, *args: Any, **kwargs: Any) -> Any:
        return np.arange(low)


def every_window(replay: Replay) -> Batch:
    return replay.sample(len(replay), EveryWindow())


def fill(replay: Replay, steps: int, ends: dict[int, list[int]], seed: int = 0) -> None:
    """Random steps; ``ends`` names the lanes whose episode ends with a step."""
    generator = torch.Generator().manual_seed(seed)
    lanes, spec = replay.num_envs, replay.spec

    def normal(*shape: int) -> Tensor:
        return torch.randn(lanes, *shape, generator=generator)

    for step in range(steps):
        done = np.isin(np.arange(lanes), ends.get(step, []))
        plan = Gaussian(normal(spec.action_dim).tanh(), normal(spec.action_dim).sigmoid())
        replay.add(
            normal(spec.obs_dim),
            normal(spec.action_dim).tanh(),
            normal(),
            torch.zeros(lanes),
            done,
            normal(spec.obs_dim),
            plan if step % 2 else None,
        )
