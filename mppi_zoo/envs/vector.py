"""Several environments stepped together, each episode with a seed of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from mppi_zoo.envs.faults import EnvironmentFault
from mppi_zoo.envs.options import EnvOptions
from mppi_zoo.envs.registry import DEFAULT_OPTIONS, make_vector
from mppi_zoo.envs.seeding import episode_seed
from mppi_zoo.envs.spec import build_spec


class EpisodeVector:
    """N copies of a task whose episodes are numbered, seeded by number, and reset on request.

    Every returned array is fresh: later calls do not change it. A context manager, closed on exit.

    Args:
        task, options, render: as for ``envs.make``.
        num_envs: N >= 1.
        run_seed: seed of the run, >= 0.
        purpose: what the episodes are for, such as "train"; part of every seed.
        asynchronous: a process per environment instead of a loop; excludes ``render``.

    Attributes:
        num_envs: N.
        spec: the EnvSpec of each environment.
        single_action_space, single_observation_space: the Box of each environment.
        action_bounds: ``low`` and ``high`` [A] of the inner environment, in its own units.

    Raises:
        ValueError: the task has no time limit; else as ``envs.make_vector``.
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
        episode_seed(run_seed, purpose, 0, 0)  # a bad run_seed should fail before any process
        self._task = task
        self._run_seed = run_seed
        self._purpose = purpose
        # Any: VectorEnv's annotations leave out what both of its kinds offer, such as seed lists.
        self._vector: Any = make_vector(task, num_envs, options, asynchronous, render)
        self.num_envs = num_envs
        self.single_action_space = self._vector.single_action_space
        self.single_observation_space = self._vector.single_observation_space
        try:
            facts = self._vector.get_attr("facts")[0]
            self.action_bounds: dict[str, list[float]] = self._vector.get_attr("action_bounds")[0]
            self.spec = build_spec(self.single_observation_space, self.single_action_space, facts)
        except ValueError:
            self._vector.close()
            raise
        self._episode = np.zeros(num_envs, dtype=np.int64)
        self._obs = np.zeros((num_envs, self.spec.obs_dim), dtype=np.float32)
        self._seeds = np.zeros(num_envs, dtype=np.int64)
        self._steps = np.zeros(num_envs, dtype=np.int64)
        # Whether an environment is within an episode, and so may be stepped.
        self._running = np.zeros(num_envs, dtype=bool)
        self._started = np.zeros(num_envs, dtype=bool)
        # Actions of the episodes under way, which together with their seeds are their states.
        self._actions: list[list[np.ndarray]] = [[] for _ in range(num_envs)]

    @property
    def episode(self) -> np.ndarray:
        """Episodes begun by each environment [N] int64, the number of the next one; a copy."""
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
            Observations [N, O] float32; those outside the mask are as they were.

        Raises:
            ValueError: a malformed mask.
            EnvironmentFault: an environment failed, or its observation is not finite.
            RuntimeError: an environment outside the mask has never been reset.
        """
        mask = self._checked_mask(mask)
        if not mask.any():
            return self._obs.copy()
        seeds: list[int | None] = [None] * self.num_envs
        for i in np.flatnonzero(mask).tolist():
            seed = episode_seed(self._run_seed, self._purpose, i, int(self._episode[i]))
            seeds[i] = self._seeds[i] = seed
            self._actions[i] = []
        # A new dict and a copied mask: gymnasium keeps neither intact.
        obs, _ = self._vector.reset(seed=seeds, options={"reset_mask": mask.copy()})
        self._episode[mask] += 1
        self._steps[mask] = 0
        self._started |= mask
        self._running |= mask
        self._obs = np.where(mask[:, None], obs, self._obs)
        if not np.isfinite(self._obs).all():
            self._raise_not_finite("observation", self._obs, None)
        return self._obs.copy()

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """One agent step of every environment with ``actions`` [N, A]; beyond [-1, 1] is clipped.

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
        obs, reward, terminated, truncated, _ = self._vector.step(actions)
        reward = reward.astype(np.float32)
        self._steps += 1
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
        if self._vector.render_mode is None:
            raise RuntimeError(
                f"{self._task} was made without rendering; build EpisodeVector with render=True"
            )
        return np.asarray(self._vector.envs[index].render())

    def not_restorable(self) -> str:
        """Why an episode under way cannot be restored after a stop; empty if it can.

        Asks each environment to try; call it before the first reset.
        """
        return next((reason for reason in self._vector.call("probe") if reason), "")

    def state_dict(self) -> dict[str, Any]:
        """Where each environment is, as plain arrays: its episode's number, seed and actions.

        Raises:
            RuntimeError: an environment is not within an episode.
        """
        if not self._running.all():
            raise RuntimeError(self._idle_message())
        empty = np.zeros((0, self.spec.action_dim), np.float32)
        return {
            "episode": self.episode,
            "seeds": self._seeds.copy(),
            "actions": [np.array(taken) if taken else empty for taken in self._actions],
            "obs": self._obs.copy(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> np.ndarray:
        """Restore :meth:`state_dict` by playing the episodes under way again.

        Returns:
            [N] bool, which environments did not come back to the very observation they had; their
            next episodes have begun instead.

        Raises:
            ValueError: the state is of another number of environments.
        """
        if len(state["seeds"]) != self.num_envs:
            raise ValueError(
                f"the state is of {len(state['seeds'])} environments; expected {self.num_envs}"
            )
        self.episode = state["episode"]
        self._seeds = np.array(state["seeds"])
        # A reset through the vector first, which its own bookkeeping of finished episodes needs.
        self._vector.reset(seed=self._seeds.tolist())
        histories = list(zip(self._seeds.tolist(), state["actions"], strict=True))
        self._vector.set_attr("history", histories)
        found = self._vector.call("replay_history")
        self._obs = np.array(state["obs"])
        self._actions = [list(taken) for taken in state["actions"]]
        self._steps = np.array([len(taken) for taken in self._actions])
        self._started[:] = self._running[:] = True
        lost = [
            obs is None or not np.array_equal(obs, was)
            for obs, was in zip(found, self._obs, strict=True)
        ]
        self.reset(np.array(lost))
        return np.array(lost)

    def observations(self) -> np.ndarray:
        """The newest observations [N, O]; a copy."""
        return self._obs.copy()

    def close(self) -> None:
        """Closes the environments and ends their processes; further calls do nothing."""
        self._vector.close()

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
            "has a bug: replay the episode from its seed)"
        )

    def _where(self, i: int) -> str:
        # The step is that of the last one taken, so an action being checked is not yet counted.
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
