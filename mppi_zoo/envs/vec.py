"""Vector environments of users: ``vec:module.path:Factory``, for simulators that batch by nature.

The factory is called as ``factory(num_envs=N, seed=S, **arguments)`` and returns a
``gymnasium.vector.VectorEnv``. Its arrays may be tensors on any device. What it does at the end of
an episode is read from ``metadata["autoreset_mode"]``, one of Gymnasium's three:

=========  ========================================================================================
DISABLED   it waits for ``reset(options={"reset_mask": mask})``
SAME_STEP  it begins the next episode in the same step, and gives the last observation of the ended
           one at ``info["final_obs"]``, what the step said besides at ``info["final_info"]``
NEXT_STEP  it begins the next episode in the next step, whose action it ignores: there is no
           transition, and ``Stepped.taken`` is False
=========  ========================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from mppi_zoo.envs import custom
from mppi_zoo.envs.batch import Stepped
from mppi_zoo.envs.native import NativeBatch, single
from mppi_zoo.envs.options import EnvOptions
from mppi_zoo.envs.success import on_host, successes
from mppi_zoo.envs.view import AgentEnv, EpisodeFacts

FINAL_OBS = ("final_obs", "final_observation")  # the latter before Gymnasium 1.0


class Vector(NativeBatch):
    """N environments of a vector environment.

    A seed counts where all episodes begin anew, as ``reset(seed=...)`` of the whole vector.

    Args:
        task: ``module.path:Factory``.
        num_envs: N.
        options: ``arguments`` go to the factory; no action repeat, which the factory can add.
        seed: given to the factory.

    Raises:
        ImportError: the module cannot be imported.
        ValueError: no such factory, one that does not give such a vector, or spaces that cannot be
            used.
    """

    kind = "the vector environment"

    def __init__(self, task: str, num_envs: int, options: EnvOptions, seed: int = 0) -> None:
        name = f"vec:{task}"
        if options.action_repeat not in (None, 1):
            raise ValueError(
                f"{name}: EnvOptions.action_repeat = {options.action_repeat}: expected 1, since "
                "the vector steps all environments at once; let the factory repeat actions"
            )
        arguments = {"num_envs": num_envs, "seed": seed, **(options.arguments or {})}
        vector = custom.built(task, name, arguments)
        if not isinstance(vector, VectorEnv):
            custom.close_quietly(vector)
            raise ValueError(
                f"{name} returned {vector!r}; expected a gymnasium.vector.VectorEnv (a "
                "gymnasium.Env is used without 'vec:')"
            )
        self._vector: Any = vector
        try:
            if vector.num_envs != num_envs:
                raise ValueError(
                    f"{name} has {vector.num_envs} environments; expected {num_envs}, as num_envs "
                    "said"
                )
            self._mode = _mode(vector, name)
            limit, episodic = _time_limit(vector, options), _episodic(vector, options)
            observed = vector.single_observation_space
            facts = EpisodeFacts(name, 1, limit, episodic, observed)
            super().__init__(observed, vector.single_action_space, facts, num_envs)
        except ValueError:
            vector.close()
            raise
        self._obs = np.zeros((num_envs, self.obs_dim), dtype=np.float32)
        # SAME_STEP: the first observations of episodes that have begun and were not asked for yet
        self._next = self._obs.copy()
        self._ended = np.zeros(num_envs, dtype=bool)
        self._fresh = np.zeros(num_envs, dtype=bool)  # who has begun and not been stepped yet
        self._begun = False  # whether the vector was reset as a whole
        # NEXT_STEP: whose next step begins an episode
        self._begins = np.zeros(num_envs, dtype=bool)

    def reset(self, mask: np.ndarray, seeds: np.ndarray, anew: bool) -> np.ndarray:
        """See Batch. With NEXT_STEP, an ended environment stays at its last observation."""
        with self.guarded("reset"):
            left = mask.all() and not (self._ended | self._fresh).all()  # all, within episodes
            if anew or left or not self._begun:
                obs, _ = self._vector.reset(seed=int(seeds[mask][0]))
                self._obs = self.flat(obs, self.num_envs)
                self._ended[:] = self._begins[:] = False
                self._fresh[:] = self._begun = True
            elif self._mode is AutoresetMode.DISABLED:
                obs, _ = self._vector.reset(options={"reset_mask": mask.copy()})
                self._obs = np.where(mask[:, None], self.flat(obs, self.num_envs), self._obs)
            else:
                self._begin_ended(mask)
        return self._obs.copy()

    def _begin_ended(self, mask: np.ndarray) -> None:
        mask = mask & ~self._fresh
        if (mask & ~self._ended).any():
            raise ValueError(
                f"environments {np.flatnonzero(mask & ~self._ended).tolist()} are within an "
                "episode; expected ended ones, as this vector resets by itself"
            )
        self._ended = self._ended & ~mask
        if self._mode is AutoresetMode.SAME_STEP:
            self._obs = np.where(mask[:, None], self._next, self._obs)
        else:
            self._begins |= mask

    def step(self, actions: np.ndarray) -> Stepped:
        """See Batch."""
        inner = self.action_map.inner(np.asarray(actions, dtype=np.float64))
        with self.guarded("step"):
            seen, earned, ends, cuts, info = self._vector.step(inner)
            obs = self.flat(seen, self.num_envs)
            reward = on_host(earned).astype(np.float32).reshape(self.num_envs)
            terminated = on_host(ends).astype(bool).reshape(self.num_envs)
            truncated = on_host(cuts).astype(bool).reshape(self.num_envs)
            solved = successes(info, self.num_envs)
            done = terminated | truncated
            if self._mode is AutoresetMode.SAME_STEP and done.any():
                self._next = obs
                obs = np.where(done[:, None], self._final(info, done), obs)
                at_end = successes(info.get("final_info", {}), self.num_envs)
                solved = np.where(done, at_end, solved)
        taken = ~self._begins
        reward = np.where(taken, reward, np.float32(0.0))
        solved = np.where(taken, solved, np.nan)
        self._begins = np.zeros(self.num_envs, dtype=bool)
        self._obs, self._ended, self._fresh = obs, done, self._begins.copy()
        return Stepped(obs.copy(), reward, terminated, truncated, solved, taken)

    def _final(self, info: Mapping[str, Any], done: np.ndarray) -> np.ndarray:
        """The last observations [N, O] of the episodes that ended; zeros elsewhere."""
        name = next((name for name in FINAL_OBS if name in info), None)
        if name is None:
            raise ValueError(
                "an episode ended in a step whose info has no 'final_obs'; expected the last "
                "observation there, as AutoresetMode.SAME_STEP promises"
            )
        final, found = info[name], np.zeros((self.num_envs, self.obs_dim), dtype=np.float32)
        if isinstance(final, np.ndarray) and final.dtype == object:  # as Gymnasium collects them
            for i in np.flatnonzero(done):
                found[i] = self.flat(_batch_of_one(final[i]), 1)[0]
            return found
        return self.flat(final, self.num_envs)

    def close(self) -> None:
        """Closes the vector."""
        self._vector.close()


def make(name: str, options: EnvOptions, render: bool) -> AgentEnv:
    """The environment of ``vec:module.path:Factory``, a vector of one; errors as of ``Vector``.

    Raises:
        RuntimeError: ``render``.
    """
    if render:
        raise RuntimeError(f"vec:{name} cannot render: vector environments are not filmed")
    return single(Vector(name, 1, options))


def make_batch(name: str, num_envs: int, options: EnvOptions, seed: int = 0) -> Vector:
    """The batch of ``vec:module.path:Factory``; errors as of :class:`Vector`."""
    return Vector(name, num_envs, options, seed)


def _mode(vector: VectorEnv, name: str) -> AutoresetMode:
    given = vector.metadata.get("autoreset_mode")
    for mode in AutoresetMode:
        if given in (mode, mode.value, mode.name):
            return mode
    known = ", ".join(f"AutoresetMode.{mode.name}" for mode in AutoresetMode)
    raise ValueError(
        f"{name} has metadata['autoreset_mode'] = {given!r}; expected one of {known}, which says "
        "what it does at the end of an episode"
    )


def _time_limit(vector: VectorEnv, options: EnvOptions) -> int | None:
    """In steps; the vector itself applies it."""
    registered = getattr(vector.spec, "max_episode_steps", None)
    own = getattr(vector.unwrapped, "max_episode_steps", registered)
    return options.max_episode_steps if own is None else int(own)


def _episodic(vector: VectorEnv, options: EnvOptions) -> bool:
    if options.episodic is not None:
        return options.episodic
    return bool(getattr(vector.unwrapped, "episodic", True))


def _batch_of_one(obs: Any) -> Any:
    if isinstance(obs, Mapping):
        return {key: _batch_of_one(part) for key, part in obs.items()}
    if isinstance(obs, tuple):
        return tuple(_batch_of_one(part) for part in obs)
    return on_host(obs)[None]
