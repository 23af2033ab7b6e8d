"""Sources of randomness, one for each purpose, and their state as data that runs no code."""

from __future__ import annotations

import random
import zlib
from typing import Any, NamedTuple

import numpy as np
import torch


def generator_for(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for each purpose, so that drawing for one never shifts another."""
    words = np.random.SeedSequence([seed, zlib.crc32(purpose.encode())]).generate_state(2)
    return torch.Generator(device).manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)


def numpy_generator_for(seed: int, purpose: str) -> np.random.Generator:
    """As :func:`generator_for`, for NumPy."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


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
        return {name: generator_state(g) for name, g in self._asdict().items()}

    def load_state_dict(self, state: dict[str, Any], seed: int, step: int) -> None:
        """Restore :meth:`state_dict`; those of another kind of device begin anew at this step."""
        for name, generator in self._asdict().items():
            if restore_generator(generator, state[name]):
                continue
            assert isinstance(generator, torch.Generator)
            generator.manual_seed(generator_for(seed, f"{name} from step {step}").initial_seed())


def process_state() -> dict[str, Any]:
    """Python's, NumPy's and torch's global sources; custom environments and parts may use them."""
    kind, internal, gauss = random.getstate()
    name, key, position, has_gauss, cached = np.random.get_state()  # type: ignore[misc]
    return {
        "python": [kind, list(internal), gauss],
        "numpy": [
            name,
            torch.from_numpy(np.array(key).astype(np.int64)),
            position,
            has_gauss,
            cached,
        ],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_process(state: dict[str, Any]) -> None:
    """Undo :func:`process_state`; CUDA's only where as many devices are present."""
    kind, internal, gauss = state["python"]
    random.setstate((kind, tuple(internal), gauss))
    name, key, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, key.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all(state["cuda"])


def generator_state(generator: torch.Generator | np.random.Generator) -> Any:
    """One generator's state."""
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    return generator.bit_generator.state


def restore_generator(generator: torch.Generator | np.random.Generator, state: Any) -> bool:
    """Undo :func:`generator_state`; False, and nothing done, if the state is of another device."""
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
        return True
    if state.numel() != generator.get_state().numel():
        return False
    generator.set_state(state)
    return True
