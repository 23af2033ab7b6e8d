"""Several environments stepped together, each episode with a seed of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mppi_zoo.envs.faults import EnvironmentFault
from mppi_zoo.envs.options import EnvOptions
from mppi_zoo.envs.registry import DEFAULT_OPTIONS, make_batch
from mppi_zoo.envs.seeding import episode_seed
from mppi_zoo.envs.spec import build_spec


class EpisodeVector:
    """N copies of a task whose episodes are numbered, seeded by number, and reset on request.

    Every returned array is new: later calls do not change it. A context manager, closed on exit.

    Args:
        task, options, render: as for ``envs.make``.
        num_envs: N >= 1.
        run_seed: seed of the run, >= 0.
        purpose: what the episodes are for, such as "train"; part of every seed.
        asynchronous: a process per environment instead of a loop; not together with ``render``.

    Attributes:
        num_envs: N.
        spec: the EnvSpec of each environment.
        single_action_space, single_observation_space: the Box of each environment.
        success: [N], of the newest step: 1 where the task is solved then, 0 where not, NaN where
            the environment does not say.
        taken: [N] bool, of the newest step: False where the environment did not act but only began
            its next episode (a vector of a user's that resets itself in the step after the end).
        action_bounds: ``low`` and ``high`` [A] of the inner environment, in its own units, and the
            ``dtype`` and ``shape`` of its actions.
        action_repeat: environment steps per agent step.

    Raises:
        ValueError: the task has no time limit; else as ``registry.make_batch``.
    """

    def __init__(
        self,
        task: str,
        num_envs: int,
        run_seed: int,
        purpose: str,
        options: EnvOptions = DEFAULT_OPTIONS,
        asynchronous: bool = False,
        render: bool = False,
    ) -> None:
        seed = episode_seed(run_seed, purpose, 0, 0)  # refuses a bad one before processes start
        self._task = task
        self._run_seed = run_seed
        self._purpose = purpose
        self._batch = make_batch(task, num_envs, options, asynchronous, render, seed)
        self.num_envs = num_envs
        self.single_action_space = self._batch.single_action_space
        self.single_observation_space = self._batch.single_observation_space
        self.action_bounds = self._batch.action_bounds
        self.action_repeat = self._batch.facts.action_repeat
        try:
            self.spec = build_spec(
                self.single_observation_space, self.single_action_space, self._batch.facts
            )
        except ValueError:
            self._batch.close()
            raise
        self._episode = np.zeros(num_envs, dtype=np.int64)
        self._obs = np.zeros((num_envs, self.spec.obs_dim), dtype=np.float32)
        self._seeds = np.zeros(num_envs, dtype=np.int64)
        self._steps = np.zeros(num_envs, dtype=np.int64)
        self._unrestorable: str | None = None  # not known yet
        # Whether each environment is within an episode, so that it can be stepped.
        self._running = np.zeros(num_envs, dtype=bool)
        self._started = np.zeros(num_envs, dtype=bool)
        self.success = np.full(num_envs, np.nan)
        self.taken = np.ones(num_envs, dtype=bool)
        # Actions of the unfinished episodes; with their seeds they suffice to play them again.
        self._actions: list[list[np.ndarray]] = [[] for _ in range(num_envs)]

    @property
    def episode(self) -> np.ndarray:
        """The number of each environment's next episode [N] int64, counted from 0; a copy."""
        return self._episode.copy()

    @episode.setter
    def episode(self, counts: np.ndarray) -> None:
        values = np.asarray(counts)
        if values.shape != (self.num_envs,) or values.dtype.kind not in "iu" or (values < 0).any():
            raise ValueError(
                f"episode was set to {counts!r}; expected {self.num_envs} integers >= 0"
            )
        self._episode = values.astype(np.int64)

    def reset(self, mask: np.ndarray | None = None) -> np.ndarray:
        """Starts the next episode of the environments in ``mask`` [N] bool, None for all.

        Returns:
            Observations [N, O] float32; those outside the mask are unchanged.

        Raises:
            ValueError: a malformed mask.
            EnvironmentFault: an environment failed, or its observation is not finite.
            RuntimeError: an environment outside the mask has never been reset.
        """
        anew = mask is None
        mask = self._checked_mask(mask)
        if not mask.any():
            return self._obs.copy()
        for i in np.flatnonzero(mask).tolist():
            self._seeds[i] = episode_seed(self._run_seed, self._purpose, i, int(self._episode[i]))
            self._actions[i] = []
        obs = self._batch.reset(mask, self._seeds, anew)
        self._episode[mask] += 1
        self._steps[mask] = 0
        self._started |= mask
        self._running |= mask
        self._obs = np.where(mask[:, None], obs, self._obs)
        if not np.isfinite(self._obs).all():
            self._raise_not_finite("observation", self._obs, None)
        return self._obs.copy()

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """One agent step of every environment with ``actions`` [N, A], clipped to [-1, 1].

        Returns:
            (observations [N, O] float32, rewards [N] float32, terminated [N] bool,
            truncated [N] bool). Observations of finished episodes are their last ones.

        Raises:
            ValueError: actions of the wrong shape or with NaN.
            EnvironmentFault: an environment failed, or returned numbers that are not finite.
            RuntimeError: an environment's episode is over, or has not begun.
        """
        if not self._running.all():
            raise RuntimeError(self._idle_message())
        actions = np.asarray(actions, dtype=np.float32)
        self._check_actions(actions)
        obs, reward, terminated, truncated, self.success, self.taken = self._batch.step(actions)
        self._steps += self.taken
        for i, taken in enumerate(self._actions):
            taken.append(actions[i].copy())
        self._running = ~(terminated | truncated)
        self._obs = obs
        if not np.isfinite(obs).all():
            self._raise_not_finite("observation", obs, actions)
        if not np.isfinite(reward).all():
            self._raise_not_finite("reward", reward, actions)
        return obs.copy(), reward, terminated, truncated

    def render(self, index: int) -> np.ndarray:
        """Image [height, width, 3] uint8 of environment ``index``; needs ``render=True``.

        Raises:
            RuntimeError: the vector was made without ``render=True``.
        """
        return self._batch.render(index)

    def not_restorable(self) -> str:
        """Why an unfinished episode cannot be restored when the run is resumed; empty if it can.

        Plays a few steps in each environment, once; call it first before the first reset.
        """
        if self._unrestorable is None:
            self._unrestorable = self._batch.probe()
        return self._unrestorable

    def step_seconds(self) -> float:
        """Seconds of an agent step of one environment, as found by :meth:`not_restorable`.

        0 where nothing was played. Environments with processes of their own share them out.
        """
        return self._batch.step_seconds()

    def state_dict(self, within: np.ndarray | None = None) -> dict[str, Any]:
        """The state of each environment as plain arrays: its episode's number, seed and actions.

        Args:
            within: [N] bool, the environments whose episode counts; None: all.

        Raises:
            RuntimeError: one of these is not within an episode.
        """
        within = np.ones(self.num_envs, dtype=bool) if within is None else within.copy()
        if not self._running[within].all():
            raise RuntimeError(self._idle_message())
        empty = np.zeros((0, self.spec.action_dim), np.float32)
        histories = zip(within, self._actions, strict=True)
        return {
            "episode": self.episode,
            "seeds": self._seeds.copy(),
            "actions": [np.array(taken) if keep and taken else empty for keep, taken in histories],
            "obs": self._obs.copy(),
            "within": within,
        }

    def load_state_dict(self, state: dict[str, Any]) -> np.ndarray:
        """Restore :meth:`state_dict` by playing the unfinished episodes again.

        Returns:
            [N] bool: True where an environment did not arrive at the same observation; there the
            next episode has begun instead.

        Raises:
            ValueError: the state has another number of environments.
        """
        if (count := len(state["seeds"])) != self.num_envs:
            raise ValueError(f"the state has {count} environments; expected {self.num_envs}")
        self.episode = state["episode"]
        self._seeds = np.array(state["seeds"])
        within = np.array(state["within"])
        found: Sequence[np.ndarray | None] = [None] * self.num_envs
        if within.any():
            found = self._batch.restore(self._seeds.tolist(), state["actions"])
        self._obs = np.array(state["obs"])
        self._actions = [list(taken) for taken in state["actions"]]
        self._steps = np.array([len(taken) for taken in self._actions])
        self._started[:], self._running = True, within.copy()
        pairs = zip(found, self._obs, strict=True)
        same = [obs is not None and np.array_equal(obs, was) for obs, was in pairs]
        lost = within & ~np.array(same)
        self.reset(lost)
        return lost

    def observations(self) -> np.ndarray:
        """The newest observations [N, O]; a copy."""
        return self._obs.copy()

    def close(self) -> None:
        """Closes the environments and ends their processes; further calls do nothing."""
        self._batch.close()

    def __enter__(self) -> EpisodeVector:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _checked_mask(self, mask: np.ndarray | None) -> np.ndarray:
        if mask is None:
            return np.ones(self.num_envs, dtype=bool)
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise ValueError(
                f"reset got a mask of shape {mask.shape} and dtype {mask.dtype}; "
                f"expected ({self.num_envs},) and bool"
            )
        never = ~(self._started | mask)
        if never.any():
            raise RuntimeError(
                f"environments {np.flatnonzero(never).tolist()} of {self._task} have never been "
                "reset and are outside the mask; call reset() without a mask first"
            )
        return mask

    def _check_actions(self, actions: np.ndarray) -> None:
        expected = (self.num_envs, self.spec.action_dim)
        if actions.shape != expected:
            raise ValueError(
                f"{self._task}: actions have shape {actions.shape}; expected {expected} [N, A]"
            )
        nan = np.isnan(actions)
        if nan.any():
            i = int(np.flatnonzero(nan.any(axis=1))[0])
            raise ValueError(
                f"{self._where(i)}: the action {actions[i].tolist()} holds NaN; expected numbers "
                "in [-1, 1] (the policy or the planner that chose it has diverged)"
            )

    def _raise_not_finite(self, what: str, values: np.ndarray, actions: np.ndarray | None) -> None:
        bad = ~np.isfinite(values.reshape(self.num_envs, -1)).all(axis=1)
        i = int(np.flatnonzero(bad)[0])
        cause = "reset" if actions is None else f"action {actions[i].tolist()}"
        raise EnvironmentFault(
            f"{self._where(i)}: the environment returned the {what} {values[i].tolist()} after "
            f"{cause}; expected finite numbers (the simulation has diverged, or the environment "
            "has a bug; to reproduce it, replay the episode from its seed)"
        )

    def _where(self, i: int) -> str:
        # The number of steps taken so far: an action that is being checked is not counted.
        return (
            f"{self._task}, environment {i}, step {int(self._steps[i])} of episode "
            f"{int(self._episode[i]) - 1} (seed {int(self._seeds[i])})"
        )

    def _idle_message(self) -> str:
        idle = np.flatnonzero(~self._running).tolist()
        return (
            f"step of {self._task} while environments {idle} are not within an episode; "
            "call reset(mask) first, with the mask terminated | truncated"
        )
