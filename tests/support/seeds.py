"""Small things that several tests share."""

from __future__ import annotations

import torch

from mppi_zoo.core.types import EnvSpec

SPEC = EnvSpec(5, 2, 500)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
