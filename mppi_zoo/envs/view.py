"""What an agent sees of any continuous-control environment: flat vectors, actions in [-1, 1]."""

from __future__ import annotations

import time
import warnings
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import FlattenObservation

from mppi_zoo.envs.actions import ActionMap
from mppi_zoo.envs.faults import EnvironmentFault

PROBE_STEPS = 10
PROBE_SEEDS = (20_011, 20_021)
NOT_DECLARED = "it does not declare restorable = True (it might be a robot, so it is not moved)"


class EpisodeFacts(NamedTuple):
    """Facts about an environment that its spaces do not contain.

    Attributes:
        task: the name it was made by.
        action_repeat: environment steps per agent step.
        max_episode_steps: time limit in environment steps, None if there is none.
        episodic: whether episodes can terminate.
        observed: the observation space before it is flattened.
    """

    task: str
    action_repeat: int
    max_episode_steps: int | None
    episodic: bool
    observed: spaces.Space


class AgentEnv(gymnasium.Wrapper):
    """Flat float32 observations, actions in [-1, 1], and action repeat, over any environment.

    Observations: Box(-inf, inf, [O], float32), a new array each time. Actions: Box(-1, 1, [A],
    float32); values outside are clipped, then mapped affinely so that -1 and 1 give the inner
    environment's bounds exactly. Rewards are summed over the repeats, which stop at the episode's
    end. ``info`` is that of the last repeat.

    A resumed run restores an unfinished episode by playing it again from its seed with the same
    actions. This is impossible where the environment declares ``restorable = False`` (a robot, say)
    or where :meth:`probe` finds that the same seed and actions give another episode.

    Args:
        env: environment with a bounded Box action space and a flattenable observation space.
        task: name used in messages.
        action_repeat, max_episode_steps, episodic: see EpisodeFacts; the time limit is only
            recorded here, ``env`` itself applies it.

    Raises:
        ValueError: a space that agents of this package cannot use.
    """

    def __init__(
        self,
        env: gymnasium.Env,
        task: str,
        action_repeat: int,
        max_episode_steps: int | None,
        episodic: bool,
    ) -> None:
        check_observations(env.observation_space, task)
        self._action_map = ActionMap(check_actions(env.action_space, task))
        observed = env.observation_space
        if not isinstance(env.observation_space, spaces.Box):
            env = FlattenObservation(env)
        super().__init__(env)
        self.facts = EpisodeFacts(task, action_repeat, max_episode_steps, episodic, observed)
        obs_dim = int(np.prod(env.observation_space.shape or ()))
        self.observation_space = spaces.Box(-np.inf, np.inf, (obs_dim,), np.float32)
        self.action_space = self._action_map.space
        self.action_bounds = self._action_map.bounds()
        self.step_seconds = 0.0  # of an agent step, as `probe` found it
        self.index = 0  # among the environments of a vector
        self.history: tuple[int, np.ndarray] | None = None  # for `replay_history`
        self.assumed_restorable = True  # where the environment does not declare it
        self._seed: int | None = None
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode; returns (observation [O], info).

        Raises:
            EnvironmentFault: the environment raised, or its observation has a wrong length.
        """
        self._seed, self._steps = seed, 0
        try:
            obs, info = self.env.reset(seed=seed, options=options)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: an environment must not end the process
            raise EnvironmentFault(f"{self._where()}: reset raised {_told(error)}") from error
        return self._flat(obs), info

    def step(  # type: ignore[override]
        self, action: np.ndarray
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One agent step with action [A].

        Returns:
            (observation [O], reward summed over the repeats, terminated, truncated, info).

        Raises:
            ValueError: the action has the wrong shape or holds NaN.
            EnvironmentFault: the environment raised, or its observation has a wrong length.
        """
        inner = self._inner_action(action)
        total = 0.0
        self._steps += 1
        try:
            for _ in range(self.facts.action_repeat):
                obs, reward, terminated, truncated, info = self.env.step(inner)
                total += float(reward)
                if terminated or truncated:
                    break
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise EnvironmentFault(f"{self._where()}: step raised {_told(error)}") from error
        return self._flat(obs), total, bool(terminated), bool(truncated), info

    def close(self) -> None:
        """Closes the environment; an error there is a warning, since nothing depends on it."""
        try:
            super().close()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            warnings.warn(f"{self.facts.task}: close raised {_told(error)}", stacklevel=2)

    @property
    def restorable(self) -> bool:
        """Whether the environment may be moved in order to restore or to probe an episode."""
        return bool(getattr(self.unwrapped, "restorable", self.assumed_restorable))

    def probe(self) -> str:
        """Why an episode cannot be restored by its seed and actions; empty if it can.

        Plays a few steps of two episodes, and of the first again; ``step_seconds`` is set. An
        environment that is not :attr:`restorable` is neither reset nor moved.
        """
        if not self.restorable:
            declared = hasattr(self.unwrapped, "restorable")
            return "it declares restorable = False" if declared else NOT_DECLARED
        first = self._excerpt(PROBE_SEEDS[0])
        self._excerpt(PROBE_SEEDS[1])
        again = self._excerpt(PROBE_SEEDS[0])
        same = first.shape == again.shape and np.array_equal(first, again, equal_nan=True)
        return "" if same else "two episodes with the same seed and actions differed"

    def replay_history(self) -> np.ndarray | None:
        """Play the episode of ``history`` (seed, actions [k, A]) again.

        Returns:
            Its last observation [O]. None if there is no history, if the environment is not
            :attr:`restorable`, or if the episode now ends earlier.
        """
        if self.history is None or not self.restorable:
            return None
        (seed, actions), self.history = self.history, None
        obs, _ = self.reset(seed=seed, options={})
        for action in actions:
            obs, _, terminated, truncated, _ = self.step(action)
            if terminated or truncated:
                return None  # the recorded episode had not ended, so this is another one
        return obs

    def _excerpt(self, seed: int) -> np.ndarray:
        """Observations and rewards of an episode's first steps, in one row."""
        draws = np.random.default_rng(seed)
        parts, taken = [self.reset(seed=seed, options={})[0]], []
        for _ in range(PROBE_STEPS):
            action = draws.uniform(-1, 1, self._action_map.low.shape).astype(np.float32)
            begun = time.perf_counter()
            obs, reward, terminated, truncated, _ = self.step(action)
            taken.append(time.perf_counter() - begun)
            parts += [obs, np.array([reward])]
            if terminated or truncated:
                break
        self.step_seconds = float(np.median(taken))
        return np.concatenate(parts)

    def _flat(self, obs: Any) -> np.ndarray:
        flat = np.array(obs, dtype=np.float32).reshape(-1)
        if flat.shape != self.observation_space.shape:
            raise EnvironmentFault(
                f"{self._where()}: the observation has {flat.size} values, expected "
                f"{self.observation_space.shape[0]} as the observation space says"  # type: ignore
            )
        return flat

    def _where(self) -> str:
        return (
            f"{self.facts.task}, environment {self.index}, step {self._steps} of the episode with "
            f"seed {self._seed}"
        )

    def _inner_action(self, action: np.ndarray) -> np.ndarray:
        unit = np.asarray(action, dtype=np.float64)
        if unit.shape != self._action_map.low.shape:
            raise ValueError(
                f"{self.facts.task}: the action has shape {unit.shape}; "
                f"expected {self._action_map.low.shape}, one number in [-1, 1] per actuator"
            )
        # A NaN makes the sum NaN, and the sum is cheaper than a mask.
        if np.isnan(unit.sum()) and np.isnan(unit).any():
            raise ValueError(
                f"{self.facts.task}: the action {unit.tolist()} holds NaN; expected numbers in "
                "[-1, 1] (the policy or the planner that chose it has diverged)"
            )
        return self._action_map.inner(unit)


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def check_observations(space: spaces.Space, task: str) -> None:
    """Raise ValueError for an observation space that is not of vectors."""
    for _, part in leaves(space):
        if isinstance(part, spaces.Box) and part.dtype == np.uint8 and len(part.shape) == 3:
            raise ValueError(
                f"{task}: observation space {part} is images; expected state vectors, as pixels "
                "are not supported. Choose a task or an observation mode with state observations"
            )
    if not space.is_np_flattenable:
        raise ValueError(
            f"{task}: observation space {space} cannot be flattened to a vector of fixed length; "
            "wrap the environment so that it observes a Box, or a Dict or Tuple of them"
        )


def leaves(space: spaces.Space, path: str = "") -> list[tuple[str, spaces.Space]]:
    """(path, space) of each space that has no parts of its own, in the order of flattening.

    A path joins the keys of dictionaries and the positions in tuples, as in "arm/0"; it is empty
    where ``space`` itself has no parts.
    """
    if isinstance(space, spaces.Dict):
        parts = [(str(key), part) for key, part in space.spaces.items()]
    elif isinstance(space, spaces.Tuple):
        parts = [(str(index), part) for index, part in enumerate(space.spaces)]
    else:
        return [(path, space)]
    return [
        leaf for name, part in parts for leaf in leaves(part, f"{path}/{name}" if path else name)
    ]


def check_actions(space: spaces.Space, task: str) -> spaces.Box:
    """The action space, if it is a Box with finite bounds; else raise ValueError."""
    if not isinstance(space, spaces.Box) or not np.issubdtype(space.dtype, np.floating):
        raise ValueError(
            f"{task}: action space {space} is not continuous; expected a Box of floats, "
            "as the planners sample Gaussian actions. Choose the task's continuous variant "
            "(such as gym:MountainCarContinuous-v0 for MountainCar-v0) if it has one"
        )
    if space.shape is None or int(np.prod(space.shape)) == 0:
        raise ValueError(f"{task}: action space {space} is empty; expected at least one number")
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise ValueError(
            f"{task}: action bounds low={space.low.tolist()}, high={space.high.tolist()}; expected "
            "finite bounds, to map [-1, 1] onto. Give the environment finite bounds, for instance "
            "with gymnasium.wrappers.TransformAction or RescaleAction in a factory of your own, "
            "used as 'module:Factory'"
        )
    return space
