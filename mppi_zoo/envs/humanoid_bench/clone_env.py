"""An environment of the original program, with all of its random draws seeded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np


class CloneEnv(gymnasium.Wrapper):
    """Gives each environment its own state of numpy's global generator.

    sit_hard, reach and others draw from that generator, which ``reset(seed=)`` does not seed. Here
    each environment has a state of its own, seeded with the environment. It is installed while the
    program runs, and the process's own state is put back afterwards.

    Args:
        env: what ``gymnasium.make`` returns for an id of the program.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self.metadata = {**env.metadata, "implementation": "humanoid_bench"}
        self._global = np.random.RandomState().get_state(legacy=False)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts an episode; a seed seeds both generators."""
        if seed is not None:
            self._global = np.random.RandomState(seed).get_state(legacy=False)
        with self._own_global_generator():
            return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One step of the program."""
        with self._own_global_generator():
            obs, reward, terminated, truncated, info = self.env.step(action)
        return obs, float(reward), bool(terminated), bool(truncated), info

    @contextlib.contextmanager
    def _own_global_generator(self) -> Iterator[None]:
        others = np.random.get_state(legacy=False)
        np.random.set_state(self._global)
        try:
            yield
        finally:
            self._global = np.random.get_state(legacy=False)
            np.random.set_state(others)
