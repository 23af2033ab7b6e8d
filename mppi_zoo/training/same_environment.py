"""Evaluation in the training's own environments: for a robot, of which there is one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.envs import EpisodeVector
from mppi_zoo.training.control_rate import ControlRate
from mppi_zoo.training.evaluation import Act, Episodes, Evaluator, bare, planned, run_episodes

# Episodes have numbers, from which their seeds follow: those of evaluations lie beyond training's.
FIRST, ROUNDS = 2**40, 2**12


class SameEnvironment(Evaluator):
    """Evaluates between two episodes of the training, one round of episodes after another.

    Args:
        envs: N environments, those of the training.
        seed: of the run.
        episodes: of an evaluation.
        rate: of the training.
        each_step: called before each step; may raise to abandon the evaluation.
    """

    between_episodes = True

    def __init__(
        self,
        envs: EpisodeVector,
        seed: int,
        episodes: int,
        rate: ControlRate,
        each_step: Callable[[], None] = lambda: None,
    ):
        super().__init__(envs, seed, each_step)
        self.episodes, self.rate = episodes, rate

    def planner(self, execution: Execution, step: int, *, film: bool = False) -> Episodes:
        """Episodes with the planner, without exploration noise; there is no film."""
        draws = self.draws(execution, step)
        return self._rounds(lambda: planned(execution, self.envs.num_envs, draws, step), step)

    def policy(self, agent: POMPCAgent, step: int) -> Episodes:
        """The same episodes with the bare policy's deterministic action."""
        return self._rounds(lambda: bare(agent), step)

    def _rounds(self, begin: Callable[[], Act], step: int) -> Episodes:
        """As many rounds as it takes; the training's episodes keep their numbers."""
        count, before = self.envs.num_envs, self.envs.episode
        rounds = []
        try:
            for number in range(-(-self.episodes // count)):
                self.envs.episode = np.full(count, FIRST + step * ROUNDS + number, dtype=np.int64)
                act = self._paced(begin())
                rounds.append(run_episodes(self.envs, act, each_step=self.each_step))
        finally:
            self.envs.episode = before
        return joined(rounds, self.episodes)

    def _paced(self, act: Act) -> Act:
        """The same actions at the control rate; the first call is an episode's first."""
        begun = False

        def paced(obs: np.ndarray, running: np.ndarray) -> np.ndarray:
            nonlocal begun
            if not begun:
                self.rate.begin()
                begun = True
            action = act(obs, running)
            self.rate.wait()
            return action

        return paced


def joined(rounds: list[Episodes], count: int) -> Episodes:
    """The first ``count`` episodes of several rounds as if they had run side by side."""
    longest = max(len(one.rewards) for one in rounds)

    def filled(values: np.ndarray, length: int, by: float = 0.0) -> np.ndarray:
        missing = np.full((length - len(values), *values.shape[1:]), by, values.dtype)
        return np.concatenate([values, missing])

    told = [one.success for one in rounds if one.success is not None]

    return Episodes(
        np.concatenate([one.returns for one in rounds])[:count],
        np.concatenate([one.lengths for one in rounds])[:count],
        [],
        np.concatenate([filled(one.obs, longest + 1) for one in rounds], 1)[:, :count],
        np.concatenate([filled(one.rewards, longest) for one in rounds], 1)[:, :count],
        np.concatenate([one.terminated for one in rounds])[:count],
        np.concatenate([filled(one, longest, np.nan) for one in told], 1)[:, :count]
        if len(told) == len(rounds)
        else None,
    )
