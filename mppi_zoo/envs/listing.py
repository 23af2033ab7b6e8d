"""What tasks there are here, and what they are like."""

from __future__ import annotations

import contextlib
import fnmatch
import importlib
import warnings
from typing import NamedTuple

from mppi_zoo.envs import pool
from mppi_zoo.envs.options import EnvOptions
from mppi_zoo.envs.registry import SUITES, make
from mppi_zoo.envs.view import EpisodeFacts

WITHOUT_NAMES = ("vec",)  # a suite of the user's own vectors


class TaskFacts(NamedTuple):
    """What is known of a task before it is played.

    Attributes:
        obs_dim, action_dim: sizes O and A.
        time_limit: in environment steps, before action repeat; None if there is none.
        action_repeat: environment steps per agent step.
        episodic: whether an episode can end before its time limit.
    """

    obs_dim: int
    action_dim: int
    time_limit: int | None
    action_repeat: int
    episodic: bool


def installed() -> tuple[list[str], dict[str, str]]:
    """All tasks as ``<suite>:<name>``, in the order of the suites.

    Returns:
        The tasks; and for each suite that is not installed, why not.
    """
    tasks: list[str] = []
    missing: dict[str, str] = {}
    for suite in SUITES:
        if suite in WITHOUT_NAMES:
            continue
        try:
            names = importlib.import_module(SUITES[suite]).names()
        except ImportError as error:
            missing[suite] = str(error)
        else:
            tasks += [f"{suite}:{name}" for name in names]
    return tasks, missing


def matching(tasks: list[str], pattern: str) -> list[str]:
    """The tasks that a shell pattern such as ``ep:MetaWorld/*`` fits, or that contain the text.

    Capitals do not matter; an empty pattern fits all.
    """
    wanted = pattern.lower()
    return [t for t in tasks if wanted in t.lower() or fnmatch.fnmatchcase(t.lower(), wanted)]


def describe(task: str) -> TaskFacts:
    """Build a task's environment, and say what it is like; EnvPool tells without building.

    Raises:
        Exception: it cannot be built here, or agents cannot use it; of many kinds.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old versions of tasks, in their own words
        suite, _, name = task.partition(":")
        if suite == "ep":
            batch = pool.Pool(name, 1, EnvOptions())
            return _facts(batch.facts, batch.obs_dim, len(batch.action_map.low))
        env = make(task)
    try:
        obs, action = env.observation_space.shape, env.action_space.shape
        return _facts(env.facts, (obs or (0,))[0], (action or (0,))[0])
    finally:
        with contextlib.suppress(Exception):
            env.close()


def _facts(facts: EpisodeFacts, obs_dim: int, action_dim: int) -> TaskFacts:
    limit, repeat = facts.max_episode_steps, facts.action_repeat
    return TaskFacts(obs_dim, action_dim, limit, repeat, facts.episodic)
