"""The state of every random source, as plain data that loads without executing code."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def of_process() -> dict[str, Any]:
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
    """Undo :func:`of_process`; CUDA's only where as many devices are present."""
    kind, internal, gauss = state["python"]
    random.setstate((kind, tuple(internal), gauss))
    name, key, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, key.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all(state["cuda"])


def of_generator(generator: torch.Generator | np.random.Generator) -> Any:
    """One generator's state."""
    if isinstance(generator, torch.Generator):
        return generator.get_state()
    return generator.bit_generator.state


def restore_generator(generator: torch.Generator | np.random.Generator, state: Any) -> bool:
    """Undo :func:`of_generator`; False, and nothing done, if the state is of another device."""
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
        return True
    if state.numel() != generator.get_state().numel():
        return False
    generator.set_state(state)
    return True
