"""Evaluation: whole episodes with the planner, and beside it with the bare policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from mppi_zoo.agent.actor import Actor, finite_action
from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.core.rng import generator_for
from mppi_zoo.envs import EpisodeVector

Act = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Episodes(NamedTuple):
    """Outcome of N episodes."""

    returns: np.ndarray  # [N] undiscounted
    lengths: np.ndarray  # [N] agent steps
    frames: list[np.ndarray]  # images of the first episode, empty unless asked for
    obs: np.ndarray  # [S+1, N, O], S the longest length; meaningless after an episode's end
    rewards: np.ndarray  # [S, N], 0 after the end
    terminated: np.ndarray  # [N] bool, whether the episode ended for good (else: time limit)
    success: np.ndarray | None = None  # [S, N], of each step: 1 if solved, 0, NaN if it is not told
    no_film: str = ""  # why there are none although they were asked for

    @property
    def mean_return(self) -> float:
        """Mean over the episodes."""
        return float(self.returns.mean())

    @property
    def success_rate(self) -> float | None:
        """Share of the episodes in which the task was solved at some step; None if nobody says."""
        return None if self.success is None else _rate(np.fmax.reduce(self.success))

    @property
    def success_at_end(self) -> float | None:
        """The same of the episodes' last steps."""
        if self.success is None:
            return None
        return _rate(self.success[self.lengths - 1, np.arange(len(self.lengths))])

    def metrics(self) -> dict[str, float]:
        """For ``metrics.csv``: returns, the mean length in agent steps, and the success rates."""
        rates = {"success_rate": self.success_rate, "success_at_end": self.success_at_end}
        return {
            "episode_return": self.mean_return,
            "episode_return_std": float(self.returns.std()),
            "episode_return_min": float(self.returns.min()),
            "episode_return_max": float(self.returns.max()),
            "episode_length": float(self.lengths.mean()),
            **{name: rate for name, rate in rates.items() if rate is not None},
        }


def _rate(success: np.ndarray) -> float | None:
    """Mean of what is told, [N]; None if nothing is."""
    told = success[~np.isnan(success)]
    return float(told.mean()) if told.size else None


class Camera:
    """Films the first environment; whatever fails there must not cost the run."""

    def __init__(self, envs: EpisodeVector, running: bool):
        self.envs, self.running = envs, running
        self.frames: list[np.ndarray] = []
        self.error = ""

    def take(self) -> None:
        """One image, if it is running."""
        if not self.running:
            return
        try:
            self.frames.append(self.envs.render(0))
        except Exception as error:  # drivers and environments fail in many ways
            self.error = f"no evaluation video: rendering failed ({type(error).__name__}: {error})"
            self.frames, self.running = [], False


def run_episodes(
    envs: EpisodeVector,
    act: Act,
    *,
    film: bool = False,
    each_step: Callable[[], None] = lambda: None,
) -> Episodes:
    """Run one episode in each environment, with all actions chosen as one batch.

    An environment that is done before the others is started again, since all are stepped together;
    what it does then does not count.

    Args:
        act: (observations [N, O], running [N] bool) -> actions [N, A], any where it does not run.
        film: whether to film the first episode.
        each_step: called before each step; may raise to abandon the episodes.
    """
    obs = envs.reset()
    returns, lengths = np.zeros(envs.num_envs), np.zeros(envs.num_envs, dtype=np.int64)
    running = np.ones(envs.num_envs, dtype=bool)  # whether the first episode goes on
    ended = np.zeros(envs.num_envs, dtype=bool)  # whether it terminated
    trace, rewards, success = [obs.copy()], [], []
    camera = Camera(envs, film)
    camera.take()
    while running.any():
        each_step()
        obs, reward, terminated, truncated = envs.step(act(obs, running))
        rewards.append(np.where(running, reward.astype(np.float64), 0.0))
        success.append(np.where(running, envs.success, np.nan))
        returns += rewards[-1]
        lengths += running
        ended |= running & terminated
        trace.append(obs.copy())
        if running[0]:
            camera.take()
        done = terminated | truncated
        running &= ~done
        if done.any() and running.any():
            obs = envs.reset(done)
    return Episodes(
        returns,
        lengths,
        camera.frames,
        np.stack(trace),
        np.stack(rewards),
        ended,
        np.stack(success),
        camera.error,
    )


def planned(execution: Execution, num_envs: int, generator: torch.Generator, step: int) -> Act:
    """The planner's actions without exploration noise, in episodes that begin now."""
    actor = Actor(execution, num_envs, generator)
    return lambda obs, running: actor.act_running(obs, running, step=step)


def bare(agent: POMPCAgent) -> Act:
    """The deterministic actions of the bare policy."""
    return lambda obs, running: finite_action(agent.policy_action(agent.tensor(obs)))


class Evaluator:
    """Evaluates an agent on episodes of its own, without touching the training's randomness.

    Args:
        envs: environments for evaluation only.
        seed: of the run.
        each_step: called before each step; may raise to abandon the evaluation.

    Attributes:
        between_episodes: whether the training must not be within an episode.
    """

    between_episodes = False

    def __init__(
        self, envs: EpisodeVector, seed: int, each_step: Callable[[], None] = lambda: None
    ):
        self.envs, self.seed, self.each_step = envs, seed, each_step

    def _begin(self, step: int) -> None:
        """Set the episodes' seeds."""
        # episodes are numbered by the agent step, so an evaluation depends on nothing before it
        self.envs.episode = np.full(self.envs.num_envs, step, dtype=np.int64)

    def draws(self, execution: Execution, step: int) -> torch.Generator:
        """The source of the planner's noise in the evaluation at an agent step."""
        return generator_for(self.seed, f"evaluation-planner-{step}", execution.agent.device)

    def planner(self, execution: Execution, step: int, *, film: bool = False) -> Episodes:
        """Episodes with the planner, without exploration noise."""
        self._begin(step)
        act = planned(execution, self.envs.num_envs, self.draws(execution, step), step)
        return run_episodes(self.envs, act, film=film, each_step=self.each_step)

    def policy(self, agent: POMPCAgent, step: int) -> Episodes:
        """The same episodes with the bare policy's deterministic action."""
        self._begin(step)
        return run_episodes(self.envs, bare(agent), each_step=self.each_step)
