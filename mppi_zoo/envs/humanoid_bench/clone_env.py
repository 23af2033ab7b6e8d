"""An environment of the original program: seeded wholly, and able to save and restore itself."""

# MuJoCo's compiled modules carry no stubs.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium.wrappers import TimeLimit

STATE = mujoco.mjtState.mjSTATE_INTEGRATION


class CloneEnv(gymnasium.Wrapper):
    """Keeps the program's draws from numpy's global generator apart from everyone else's.

    sit_hard, reach and others draw from that generator, which ``reset(seed=)`` does not seed. Here
    each environment has a global state of its own, put in place while the program runs, and seeded
    with the environment.

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

    def get_state(self) -> dict[str, Any]:
        """All that the future depends on: nested dicts of arrays, numbers and strings."""
        inner: Any = self.unwrapped
        physics = np.empty(mujoco.mj_stateSize(inner.model, STATE))
        mujoco.mj_getState(inner.model, inner.data, physics, STATE)
        return {
            "physics": physics,
            "task": {k: _copy(v) for k, v in vars(inner.task).items() if _is_plain(v)},
            "elapsed": [limit._elapsed_steps for limit in self._time_limits()],
            "np_random": inner.np_random.bit_generator.state,
            "global_random": self._global,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continues as the environment would have that ``get_state`` was called on.

        Raises:
            ValueError: the state is that of a model of another size.
        """
        inner: Any = self.unwrapped
        physics = np.asarray(state["physics"], dtype=np.float64)
        expected = (mujoco.mj_stateSize(inner.model, STATE),)
        if physics.shape != expected:
            raise ValueError(
                f"set_state got physics of shape {physics.shape}; expected {expected}, as "
                "get_state returns it for the same task"
            )
        # Wrappers refuse to step before a reset; what it draws is overwritten below.
        self.reset(seed=0)
        mujoco.mj_setState(inner.model, inner.data, physics, STATE)
        mujoco.mj_forward(inner.model, inner.data)
        mujoco.mj_setState(inner.model, inner.data, physics, STATE)
        for name, value in state["task"].items():
            setattr(inner.task, name, _copy(value))
        for limit, elapsed in zip(self._time_limits(), state["elapsed"], strict=True):
            limit._elapsed_steps = elapsed
        inner.np_random.bit_generator.state = state["np_random"]
        self._global = dict(state["global_random"])

    def _time_limits(self) -> list[TimeLimit]:
        found, layer = [], self.env
        while isinstance(layer, gymnasium.Wrapper):
            if isinstance(layer, TimeLimit):
                found.append(layer)
            layer = layer.env
        return found

    @contextlib.contextmanager
    def _own_global_generator(self) -> Iterator[None]:
        others = np.random.get_state(legacy=False)
        np.random.set_state(self._global)
        try:
            yield
        finally:
            self._global = np.random.get_state(legacy=False)
            np.random.set_state(others)


def _is_plain(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str, np.ndarray, np.number))


def _copy(value: Any) -> Any:
    if isinstance(value, np.number):
        return value.item()
    return value.copy() if isinstance(value, np.ndarray) else value
