"""Tasks of EnvPool: ``ep:<id>``, simulated by one C++ pool instead of N Python environments.

EnvPool (Weng et al., 2022, arXiv:2206.10558) resets an environment by itself in the step after an
episode's end. That never happens here: it also steps and resets any part of its environments, so
that an ended one waits for its reset and the last observation of each episode is seen.
"""

from __future__ import annotations

import importlib
import sys
import time
import warnings
from typing import Any

import numpy as np
from gymnasium import spaces

from mppi_zoo.compute.threads import usable_cores
from mppi_zoo.core.extras import require
from mppi_zoo.envs.batch import Stepped
from mppi_zoo.envs.dmc import DEFAULT_ACTION_REPEAT, UNBOUNDED
from mppi_zoo.envs.gym import NEVER_TERMINATE
from mppi_zoo.envs.matching import unknown_name
from mppi_zoo.envs.native import NativeBatch, single
from mppi_zoo.envs.options import EnvOptions, refuse_taken
from mppi_zoo.envs.success import successes
from mppi_zoo.envs.view import PROBE_STEPS, AgentEnv, EpisodeFacts

# Modules of EnvPool whose tasks only ever end for their time limit. Of the control suite's, lqr can
# also end by itself.
CONTROL_SUITE = "envpool.mujoco.dmc"
ENDLESS = frozenset({CONTROL_SUITE, "envpool.mujoco.metaworld", "envpool.mujoco.robotics"})
# Settings of EnvPool that this package sets itself, and what to use instead.
TAKEN = {
    "num_envs": "--num-envs",
    "batch_size": "--num-envs",
    "seed": "--seed",
    "env_seed": "--seed",
    "max_episode_steps": "EnvOptions.max_episode_steps",
    "env_type": "nothing",
    "gym_reset_return_info": "nothing",
}


class Pool(NativeBatch):
    """N environments of one EnvPool task.

    The seed of each environment is set where all begin anew, by making the pool again; its later
    episodes go on with its own random numbers.

    Args:
        name: EnvPool's id, such as "MetaWorld/Reach-v3".
        num_envs: N.
        options: ``arguments`` are settings of EnvPool. Action repeat is 2 for the control suite,
            else 1, unless set.

    Raises:
        ImportError: EnvPool is not installed.
        ValueError: unknown id, a setting that the task does not have, or spaces that cannot be
            used.
    """

    kind = "EnvPool"

    def __init__(self, name: str, num_envs: int, options: EnvOptions) -> None:
        family = _family(name)
        self._name, self._settings = name, _settings(name, options)
        # a thread more than cores or environments would only be in the way
        self._settings.setdefault("num_threads", min(num_envs, usable_cores()))
        config, observed, acting = _declared(name, self._settings)
        episodic = options.episodic
        if episodic is None:
            episodic = _episodic(name, family, config)
        repeat = options.action_repeat or (DEFAULT_ACTION_REPEAT if family == CONTROL_SUITE else 1)
        limit = int(config.max_episode_steps)
        facts = EpisodeFacts(f"ep:{name}", repeat, limit, episodic, observed)
        super().__init__(observed, _bounded(acting), facts, num_envs)
        self._pool: Any = None
        self._seconds = 0.0

    def reset(self, mask: np.ndarray, seeds: np.ndarray, anew: bool) -> np.ndarray:
        """See Batch."""
        with self.guarded("reset"):
            if anew or self._pool is None:
                self.close()
                self._pool = _made(
                    self._name,
                    {**self._settings, "num_envs": self.num_envs, "env_seed": seeds.tolist()},
                )
            rows = np.flatnonzero(mask).astype(np.int32)
            obs, info = self._pool.reset(rows)
            found = np.zeros((self.num_envs, self.obs_dim), dtype=np.float32)
            found[info["env_id"]] = self.flat(obs, len(rows))
        return found

    def step(self, actions: np.ndarray) -> Stepped:
        """See Batch; the repeats of an action stop where its episode ends."""
        inner = self.action_map.inner(np.asarray(actions, dtype=np.float64))
        n = self.num_envs
        obs = np.zeros((n, self.obs_dim), dtype=np.float32)
        reward, solved = np.zeros(n), np.full(n, np.nan)
        terminated, truncated = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        rows = np.arange(n, dtype=np.int32)
        with self.guarded("step"):
            for _ in range(self.facts.action_repeat):
                seen, earned, ends, cuts, info = self._pool.step(inner[rows], rows)
                at = info["env_id"]
                obs[at] = self.flat(seen, len(rows))
                reward[at] += earned
                terminated[at], truncated[at] = ends, cuts
                solved[at] = successes(info, len(rows))
                rows = np.flatnonzero(~(terminated | truncated)).astype(np.int32)
                if not rows.size:
                    break
        taken = np.ones(n, dtype=bool)
        return Stepped(obs, reward.astype(np.float32), terminated, truncated, solved, taken)

    def probe(self) -> str:
        """See Batch; plays a few steps to measure them, and makes the pool anew."""
        draws, taken = np.random.default_rng(0), []
        self.reset(np.ones(self.num_envs, dtype=bool), np.arange(self.num_envs), anew=True)
        for _ in range(PROBE_STEPS):
            actions = draws.uniform(-1, 1, (self.num_envs, len(self.action_map.low)))
            now = time.perf_counter()
            stepped = self.step(actions.astype(np.float32))
            taken.append(time.perf_counter() - now)
            if (stepped.terminated | stepped.truncated).any():
                break
        self._seconds = float(np.median(taken))
        self.close()
        return super().probe()

    def step_seconds(self) -> float:
        """See Batch."""
        return self._seconds / self.num_envs

    def close(self) -> None:
        """Frees the pool and its threads."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def make(name: str, options: EnvOptions, render: bool) -> AgentEnv:
    """The environment of ``ep:<id>``, a pool of one; errors as of :class:`Pool`.

    Raises:
        RuntimeError: ``render``.
    """
    if render:
        raise RuntimeError(
            f"ep:{name} cannot render: EnvPool's renderer ends the process where it finds no OpenGL"
        )
    return single(Pool(name, 1, options))


def make_batch(name: str, num_envs: int, options: EnvOptions, seed: int = 0) -> Pool:
    """The batch of ``ep:<id>``; errors as of :class:`Pool`. The seed is not read."""
    return Pool(name, num_envs, options)


def names() -> list[str]:
    """All ids, whatever their spaces; of an id with and without its family, the one with it."""
    known = task_ids()
    short = {name.partition("/")[2] for name in known if "/" in name}
    return [name for name in known if name not in short]


def check_name(name: str) -> None:
    """Raise ValueError for an id that EnvPool does not have."""
    _family(name)


def task_ids() -> dict[str, str]:
    """Every id of EnvPool, and the module of EnvPool that it belongs to.

    Raises:
        ImportError: EnvPool is not installed.
    """
    _envpool()
    registry = importlib.import_module("envpool.registration").registry
    return {name: entry[0] for name, entry in registry.specs.items()}


def _envpool() -> Any:
    try:
        require("envpool", "a task ep:<id>")
    except ImportError as error:
        old = " (its wheels begin with Python 3.11)" if sys.version_info < (3, 11) else ""
        raise ImportError(f"{error}{old}", name="envpool") from error
    return importlib.import_module("envpool")


def _family(name: str) -> str:
    known = task_ids()
    if name not in known:
        raise unknown_name("EnvPool id", name, known)
    return known[name]


def _settings(name: str, options: EnvOptions) -> dict[str, Any]:
    given = dict(options.arguments or {})
    refuse_taken(f"ep:{name}", given, TAKEN)
    known = _declared(name, {})[0]._fields
    for key in given:
        if key not in known:
            raise unknown_name(f"argument of ep:{name}", key, set(known) - TAKEN.keys())
    if options.max_episode_steps is not None:
        given["max_episode_steps"] = options.max_episode_steps
    return given


def _declared(name: str, settings: dict[str, Any]) -> tuple[Any, spaces.Space, spaces.Space]:
    """The settings of a task, its observation space and its action space."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of gymnasium, on the bounds of EnvPool's observations
        try:
            spec = _envpool().make_spec(name, **settings)
            return spec.config, spec.gymnasium_observation_space, spec.gymnasium_action_space
        except TypeError as error:
            raise ValueError(
                f"ep:{name}: EnvPool refuses the arguments {settings}; expected values of the "
                f"types of {_types(name, settings)}"
            ) from error


def _types(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    config = _envpool().make_spec(name).config
    return {key: getattr(config, key) for key in settings}


def _made(name: str, settings: dict[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = _envpool().make_gymnasium(name, **settings)
        made.observation_space  # noqa: B018  (warns where it is made)
        return made


def _episodic(name: str, family: str, config: Any) -> bool:
    if family in ENDLESS:
        return name.startswith("Lqr")
    if name.rpartition("/")[2].rpartition("-")[0] in NEVER_TERMINATE:
        return False
    return bool(getattr(config, "terminate_when_unhealthy", True))


def _bounded(space: spaces.Space) -> spaces.Space:
    """The action space; actuators without bounds (lqr) take [-1, 1], as with ``dmc:``."""
    if not isinstance(space, spaces.Box) or not np.issubdtype(space.dtype, np.floating):
        return space
    free = (space.low <= -UNBOUNDED) | (space.high >= UNBOUNDED)
    low, high = np.where(free, -1.0, space.low), np.where(free, 1.0, space.high)
    return spaces.Box(low.astype(space.dtype), high.astype(space.dtype), dtype=space.dtype.type)
