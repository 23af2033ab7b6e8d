"""The sources of randomness of a training, one for each purpose."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from mppi_zoo.core import rng_state as random_state
from mppi_zoo.core.noise import generator_for, numpy_generator_for


class Generators(NamedTuple):
    """One source of randomness for each purpose, all derived from the run's seed."""

    acting: torch.Generator
    updates: torch.Generator
    reanalysis: torch.Generator
    replay: np.random.Generator
    exploration: np.random.Generator  # the seed phase's random actions

    @classmethod
    def from_seed(cls, seed: int, device: torch.device) -> Generators:
        """All at their beginning."""
        return cls(
            generator_for(seed, "acting", device),
            generator_for(seed, "updates", device),
            generator_for(seed, "reanalysis", device),
            numpy_generator_for(seed, "replay"),
            numpy_generator_for(seed, "exploration"),
        )

    def state_dict(self) -> dict[str, Any]:
        """Where each of them is, as plain data."""
        return {name: random_state.of_generator(g) for name, g in self._asdict().items()}

    def load_state_dict(self, state: dict[str, Any], seed: int, step: int) -> None:
        """Restore :meth:`state_dict`; those of another kind of device begin anew at this step."""
        for name, generator in self._asdict().items():
            if random_state.restore_generator(generator, state[name]):
                continue
            assert isinstance(generator, torch.Generator)
            generator.manual_seed(generator_for(seed, f"{name} from step {step}").initial_seed())
