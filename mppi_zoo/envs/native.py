"""Environments that are stepped as one batch: what EnvPool and vectors of users have in common."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from mppi_zoo.envs.actions import ActionMap
from mppi_zoo.envs.batch import Stepped
from mppi_zoo.envs.faults import EnvironmentFault
from mppi_zoo.envs.success import on_host
from mppi_zoo.envs.view import AgentEnv, EpisodeFacts, check_actions, check_observations


class NativeBatch(ABC):
    """A :class:`mppi_zoo.envs.batch.Batch` over environments that step together.

    An unfinished episode of one of them cannot be played again, and none is filmed.

    Args:
        observations: the observation space of one environment.
        actions: the action space of one environment.
        facts: of each environment; ``observed`` is filled in.
        num_envs: N.

    Raises:
        ValueError: a space that agents of this package cannot use.
    """

    kind = "a batch"  # what steps them, for messages

    def __init__(
        self, observations: spaces.Space, actions: spaces.Space, facts: EpisodeFacts, num_envs: int
    ) -> None:
        check_observations(observations, facts.task)
        self.num_envs = num_envs
        self.facts = facts._replace(observed=observations)
        self.action_map = ActionMap(check_actions(actions, facts.task))
        self.action_bounds = self.action_map.bounds()
        self.single_action_space = self.action_map.space
        self.obs_dim = spaces.flatdim(observations)
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (self.obs_dim,), np.float32)

    @abstractmethod
    def reset(self, mask: np.ndarray, seeds: np.ndarray, anew: bool) -> np.ndarray:
        """See Batch."""

    @abstractmethod
    def step(self, actions: np.ndarray) -> Stepped:
        """See Batch."""

    def flat(self, obs: Any, count: int) -> np.ndarray:
        """Observations [count, O] float32 of a batch in the environment's own structure.

        Raises:
            EnvironmentFault: they have another size than the observation space says.
        """
        flat = np.concatenate(_parts(self.facts.observed, obs, count), axis=1, dtype=np.float32)
        if flat.shape[1] != self.obs_dim:
            raise EnvironmentFault(
                f"{self.facts.task}: an observation has {flat.shape[1]} values, expected "
                f"{self.obs_dim} as the observation space says"
            )
        return flat

    @contextlib.contextmanager
    def guarded(self, what: str) -> Iterator[None]:
        """Errors of the environments become an EnvironmentFault that says where they came from."""
        try:
            yield
        except (KeyboardInterrupt, EnvironmentFault):
            raise
        except BaseException as error:
            raise EnvironmentFault(
                f"{self.facts.task}: {what} raised {type(error).__name__}: {error}"
            ) from error

    def probe(self) -> str:
        """See Batch: it never can, so nothing is played."""
        return f"{self.kind} steps all environments together and cannot take one of them back"

    def step_seconds(self) -> float:
        """See Batch: not known."""
        return 0.0

    def restore(
        self, seeds: Sequence[int], actions: Sequence[np.ndarray]
    ) -> Sequence[np.ndarray | None]:
        """See Batch: it never can."""
        return [None] * self.num_envs

    def render(self, index: int) -> np.ndarray:
        """See Batch: it never can."""
        raise RuntimeError(f"{self.facts.task}: {self.kind} is not filmed by this package")

    @abstractmethod
    def close(self) -> None:
        """See Batch."""


class One(gymnasium.Env):
    """The only environment of a native batch of one.

    Args:
        batch: with ``num_envs`` 1.
    """

    def __init__(self, batch: NativeBatch) -> None:
        self.batch = batch
        self.observation_space = batch.single_observation_space
        self.action_space = batch.single_action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode that depends on its seed alone; without one a seed is drawn."""
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(2**31)) if seed is None else seed
        obs = self.batch.reset(np.ones(1, dtype=bool), np.array([drawn]), anew=True)
        return obs[0], {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One agent step with action [A] in [-1, 1]; ``info["success"]`` where it is told."""
        stepped = self.batch.step(np.asarray(action, dtype=np.float32)[None])
        told = not np.isnan(stepped.success[0])
        info = {"success": float(stepped.success[0])} if told else {}
        ended = bool(stepped.terminated[0]), bool(stepped.truncated[0])
        return stepped.obs[0], float(stepped.reward[0]), *ended, info

    def close(self) -> None:
        """Closes the batch."""
        self.batch.close()


def single(batch: NativeBatch) -> AgentEnv:
    """The AgentEnv of a native batch of one."""
    facts = batch.facts
    env = AgentEnv(One(batch), facts.task, 1, facts.max_episode_steps, facts.episodic)
    env.facts, env.action_bounds = facts, batch.action_bounds
    return env


def _parts(space: spaces.Space, obs: Any, count: int) -> list[np.ndarray]:
    """Arrays [count, n] of the leaves of a batch of observations, in the order of flattening."""
    if isinstance(space, spaces.Dict):
        return [p for key, part in space.spaces.items() for p in _parts(part, obs[key], count)]
    if isinstance(space, spaces.Tuple):
        return [p for i, part in enumerate(space.spaces) for p in _parts(part, obs[i], count)]
    values = on_host(obs)
    if isinstance(space, spaces.Box | spaces.MultiBinary):
        return [values.reshape(count, -1)]
    return [np.stack([np.asarray(spaces.flatten(space, value)) for value in values])]
