"""A batch of states is planned in pieces whose latents stay in the processor's cache."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mppi_zoo.core.types import Gaussian
from mppi_zoo.planning.base import PlanResult


def full_piece(cached_numbers: int, samples: int, latent_dim: int) -> int:
    """States that are planned together at most."""
    return max(1, cached_numbers // (samples * latent_dim))


def pieces(batch: int, full: int, compiled: bool) -> list[Tensor]:
    """Numbers of the states in each piece of a batch.

    Args:
        full: states of a whole piece.
        compiled: whether a piece that is nearly whole is filled up, with states planned already.
    """
    end = batch
    if compiled and batch % full > full // 2:
        end = -(-batch // full) * full
    return list((torch.arange(end) % batch).split(full))


def joined(planned: Sequence[PlanResult], batch: int) -> PlanResult:
    """The plans of all pieces as one batch; what filled up the last piece is left out."""

    def states(parts: Sequence[Tensor], axis: int = 0) -> Tensor:
        return torch.cat(list(parts), axis).narrow(axis, 0, batch)

    return PlanResult(
        states([one.action for one in planned]),
        Gaussian(*map(states, zip(*(one.dist for one in planned), strict=True))),
        states([one.value for one in planned]),
        states([one.mean for one in planned], 1),
        states([one.warm_start for one in planned], 1),
    )
