"""Environments that observe the number of their episode and of the step in it, for reset tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv

LENGTHS = (3, 5)
TIME_LIMIT = 10


class One(gymnasium.Env):
    """Observes (episode, steps in it), rewards the steps after each step.

    Args:
        lengths: of the episodes, in turn; even ones terminate, odd ones are truncated.
    """

    max_episode_steps = TIME_LIMIT

    def __init__(self, lengths: Sequence[int] = LENGTHS) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.lengths, self.episode, self.count = lengths, 0, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.episode, self.count = self.episode + 1, 0
        return self._obs(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.count += 1
        length = self.lengths[self.episode % len(self.lengths)]
        done, even = self.count == length, length % 2 == 0
        assert self.count <= length, "stepped after its end"
        return self._obs(), float(self.count), done and even, done and not even, {}

    def _obs(self) -> np.ndarray:
        return np.array([self.episode, self.count], dtype=np.float32)


class Counting(VectorEnv):
    """The same as one batch; environment i begins with the i-th length.

    Args:
        mode: name of an AutoresetMode.
        tensors: give torch tensors, and observations as dictionaries.
    """

    max_episode_steps = TIME_LIMIT

    def __init__(
        self,
        num_envs: int,
        seed: int,
        mode: str = "DISABLED",
        lengths: Sequence[int] = LENGTHS,
        tensors: bool = False,
    ) -> None:
        self.num_envs, self.mode, self.tensors = num_envs, AutoresetMode[mode], tensors
        self.metadata = {"autoreset_mode": self.mode}
        self.lengths = np.array(lengths)
        self.single_action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        if tensors:
            part = spaces.Box(-np.inf, np.inf, (), np.float32)
            # pairs keep their order, which a plain dictionary's keys would not
            self.single_observation_space = spaces.Dict([("episode", part), ("count", part)])
        self.episode = np.arange(num_envs)
        self.count = np.zeros(num_envs, dtype=np.int64)
        self.ended = np.zeros(num_envs, dtype=bool)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> Any:
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, dtype=bool))
        self._begin(mask)
        return self._obs(), {}

    def step(self, actions: Any) -> Any:
        before = self.ended.copy()
        if self.mode is AutoresetMode.NEXT_STEP:
            self._begin(before)
        assert not self.ended.any(), "stepped after the end of an episode"
        self.count = np.where(before, 0, self.count + 1)
        length = self.lengths[self.episode % len(self.lengths)]
        self.ended = done = self.count == length
        terminated, truncated = done & (length % 2 == 0), done & (length % 2 == 1)
        reward, solved = self._given(self.count.astype(np.float32)), self._given(done)
        info: dict[str, Any] = {"success": solved}
        if self.mode is AutoresetMode.SAME_STEP and done.any():
            info = {"final_obs": self._final(), "final_info": {"success": solved}}
            self._begin(done)
        return self._obs(), reward, self._given(terminated), self._given(truncated), info

    def _begin(self, mask: np.ndarray) -> None:
        self.episode[mask] += 1
        self.count[mask] = 0
        self.ended = self.ended & ~mask

    def _final(self) -> Any:
        if self.tensors:
            return self._obs()
        final = np.full(self.num_envs, None, dtype=object)  # as Gymnasium's own vectors give it
        for i in np.flatnonzero(self.ended):
            final[i] = self._obs()[i]
        return final

    def _obs(self) -> Any:
        values = np.stack([self.episode, self.count], axis=1).astype(np.float32)
        if not self.tensors:
            return values
        return {"episode": torch.from_numpy(values[:, 0]), "count": torch.from_numpy(values[:, 1])}

    def _given(self, values: np.ndarray) -> Any:
        return torch.from_numpy(values) if self.tensors else values
