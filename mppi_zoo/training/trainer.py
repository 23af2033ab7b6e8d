"""The training loop: collect, learn, evaluate, record (spec section 6)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mppi_zoo.agent.actor import Actor
from mppi_zoo.agent.checkpoint import save_agent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.core.rng import Generators
from mppi_zoo.core.types import Gaussian
from mppi_zoo.envs import EpisodeVector
from mppi_zoo.runs.metrics import MetricsLogger
from mppi_zoo.runs.progress import Progress
from mppi_zoo.runs.video import save_video
from mppi_zoo.training.diagnostics import Diagnostics
from mppi_zoo.training.evaluation import Evaluator
from mppi_zoo.training.health import HealthCheck
from mppi_zoo.training.options import TrainingOptions
from mppi_zoo.training.reanalysis import NoReanalysis, Reanalysis
from mppi_zoo.training.replay import Replay
from mppi_zoo.training.throughput import Stopwatch


class Trainer:
    """Trains one agent on one task.

    Training is a sequence of units: an environment step with its updates, an update of the
    pretraining, an evaluation. Between two units
    :mod:`mppi_zoo.training.trainer_state` can take and restore everything that the rest depends on.

    Args:
        execution: of the agent that learns.
        envs: N environments for training.
        evaluator: None switches evaluation off; training is bit-identical with and without.
        replay: with N lanes.
        reanalysis: refreshes the stored plans.
        options: the schedule.
        seed: of the run.
        logger, progress: where figures go.
        folder: of the run, for agents and videos.
        film: whether the last evaluation is filmed.
    """

    def __init__(
        self,
        execution: Execution,
        envs: EpisodeVector,
        evaluator: Evaluator | None,
        replay: Replay,
        reanalysis: Reanalysis | NoReanalysis,
        options: TrainingOptions,
        seed: int,
        logger: MetricsLogger,
        progress: Progress,
        folder: Path,
        film: bool = False,
    ):
        self.execution, self.agent = execution, execution.agent
        self.envs, self.evaluator = envs, evaluator
        agent = self.agent
        self.replay, self.reanalysis, self.options = replay, reanalysis, options
        self.logger, self.progress, self.folder, self.film = logger, progress, folder, film
        self.seed = seed
        self.generators = Generators.from_seed(seed, agent.device)
        self.diagnostics = Diagnostics(seed)
        self.actor = Actor(execution, envs.num_envs, self.generators.acting)
        self.health = HealthCheck(folder)
        self.seed_steps = options.seed_phase(envs.spec.episode_length)
        self.step = 0  # agent steps taken, over all environments
        self.updates = 0
        self.updates_owed = 0.0  # for the steps taken
        self.pretraining_left = 0  # updates
        self.evaluation_due = False
        self.best_return = float("-inf")
        self.last_log = 0
        self.episode_return = np.zeros(envs.num_envs)
        self.episode_length = np.zeros(envs.num_envs, dtype=np.int64)
        self.stopwatch = Stopwatch()
        self.phase = ""
        self.obs: np.ndarray | None = None  # none before the first episode

    def run(self, between: Callable[[], None] = lambda: None) -> None:
        """Train to the last step; the final agent is evaluated and saved.

        Args:
            between: called between two units, when the run's state may be taken.
        """
        if self.obs is None:
            self.obs = self.envs.reset()
        while not self.finished:
            self.unit()
            self.progress.update(self.step)
            between()
        save_agent(self.folder / "checkpoints" / "last.pt", self.agent, self.step)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        due = self.pretraining_left or self.evaluation_due
        return self.step >= self.options.steps and not due

    def unit(self) -> None:
        """The next thing to do."""
        if self.pretraining_left:
            self._enter("pretraining")
            self.pretrain()
        elif self.evaluation_due:
            self._enter("evaluating")
            self.evaluate()
        elif self.step < self.seed_steps:
            self._enter("seed phase")
            self.explore()
        else:
            self._enter("training")
            self.advance()

    def _enter(self, phase: str) -> None:
        if phase != self.phase:
            self.phase = phase
            self.progress.phase(phase)

    def explore(self) -> None:
        """A random step in every environment; the last one makes the pretraining due."""
        shape = (self.envs.num_envs, self.envs.spec.action_dim)
        action = self.generators.exploration.uniform(-1, 1, shape).astype(np.float32)
        self._take(action, None)
        if self.step >= self.seed_steps:
            self.pretraining_left = round(self.seed_steps * self.options.updates_per_step)
            self.stopwatch = Stopwatch()

    def pretrain(self) -> None:
        """One of as many updates as random steps were taken."""
        figures = self.learn(pretraining=True)
        self.pretraining_left -= 1
        self.progress.update(self.step, updates_left=self.pretraining_left or None)
        if not self.pretraining_left:
            self.stopwatch = Stopwatch()
            self._record_if_due(figures)

    def advance(self) -> None:
        """A planned step in every environment, and the updates due for it."""
        now = time.perf_counter()
        assert self.obs is not None
        try:
            acted = self.actor.act(self.obs, greedy=False, flag=self.health.sound())
        except FloatingPointError:
            self.health.check(self.agent)
            self.health.check_parameters(self.agent, self.step)
            raise
        # what the last updates' figures say came along with the action
        self.health.check(self.agent, acted.finite)
        self.stopwatch.add("plan", now)
        on_host = self.replay.device.type == "cpu"
        self._take(acted.action, acted.plan if on_host else acted.result.dist)
        self.updates_owed += self.options.updates_per_step * self.envs.num_envs
        figures: dict[str, Tensor] | None = None
        while self.updates_owed >= 1:
            figures = self.learn(pretraining=False)
            self.updates_owed -= 1
        if figures is not None:
            self._record_if_due(figures)

    def _take(self, action: np.ndarray, plan: Gaussian | None) -> None:
        """Step every environment, into the replay."""
        now = time.perf_counter()
        obs = self.obs
        assert obs is not None
        next_obs, reward, terminated, truncated = self.envs.step(action)
        done = terminated | truncated
        now = self.stopwatch.add("environment", now)
        self.replay.add(
            torch.from_numpy(obs),
            torch.from_numpy(action),
            torch.from_numpy(reward),
            torch.from_numpy(terminated.astype(np.float32)),
            done,
            torch.from_numpy(next_obs),
            plan,
        )
        self.step += self.envs.num_envs
        self.stopwatch.steps += self.envs.num_envs
        self.episode_return += reward
        self.episode_length += 1
        self.obs = next_obs
        if done.any():
            self._finish_episodes(done)
        self.stopwatch.add("replay", now)
        if self.evaluator is not None and self._evaluation_crossed():
            self.evaluation_due = True

    def _evaluation_crossed(self) -> bool:
        """Whether the last step passed a multiple of the interval, or ended the training."""
        before, interval = self.step - self.envs.num_envs, self.options.eval_every
        return self.step // interval > before // interval or self.step >= self.options.steps

    def _finish_episodes(self, done: np.ndarray) -> None:
        for env in np.flatnonzero(done):
            figures = {
                "episode_return": self.episode_return[env],
                "episode_length": self.episode_length[env],
            }
            self.logger.write(self.step, "train", figures)
            self.progress.update(self.step, episode_return=float(self.episode_return[env]))
        self.episode_return[done] = 0
        self.episode_length[done] = 0
        self.obs = self.envs.reset(done)
        self.actor.reset(done)

    def learn(self, *, pretraining: bool) -> dict[str, Tensor]:
        """One update on a fresh batch."""
        agent, now = self.agent, time.perf_counter()
        if self.health.due:
            self.health.check(agent)
        batch = self.replay.sample(self.options.batch_size, self.generators.replay)
        now = self.stopwatch.add("sample", now)
        self.updates += 1
        if not pretraining:
            batch = self.reanalysis.refresh(
                self.execution, self.replay, batch, self.updates, self.generators.reanalysis
            )
            now = self.stopwatch.add("reanalysis", now)
        noise = agent.draw_update_noise(batch, self.generators.updates)
        figures = self.execution.update(batch, self.step, noise, pretraining=pretraining)
        self.health.note(self.step, self.updates, batch, figures)
        self.stopwatch.add("update", now)
        return figures

    def _record_if_due(self, figures: dict[str, Tensor]) -> None:
        """Losses to metrics.csv, timings to timing.csv."""
        every = self.options.log_every
        if self.step // every == self.last_log // every:
            return
        self.health.check(self.agent)
        values = torch.stack(list(figures.values())).tolist()  # one transfer, not one a figure
        self.logger.write(self.step, "train", dict(zip(figures, values, strict=True)))
        self.logger.timing(self.step, self.stopwatch.lap())
        self.last_log = self.step

    def evaluate(self) -> None:
        """Planner and bare policy; keeps the latest and the best agent."""
        evaluator, agent = self.evaluator, self.agent
        assert evaluator is not None
        begun = time.perf_counter()
        self.health.check(agent)
        film = self.film and self.step >= self.options.steps
        planner = evaluator.planner(self.execution, self.step, film=film)
        policy = evaluator.policy(agent, self.step)
        self.evaluation_due = False
        self.logger.write(self.step, "eval", planner.figures())
        self.logger.write(self.step, "eval_policy", policy.figures())
        diagnosed = self.diagnostics.figures(
            self.execution, self.replay, self.step, planner, policy
        )
        self.logger.write(self.step, "diagnostic", diagnosed)
        self.logger.timing(self.step, {"evaluation_s": time.perf_counter() - begun})
        mean = float(planner.returns.mean())
        checkpoints = self.folder / "checkpoints"
        save_agent(checkpoints / "last.pt", agent, self.step)
        if mean > self.best_return:
            self.best_return = mean
            save_agent(checkpoints / "best.pt", agent, self.step)
        if planner.frames:
            path = self.folder / "videos" / f"evaluation_{self.step}.mp4"
            self.progress.message(save_video(path, planner.frames))
        if planner.no_film:
            self.progress.message(planner.no_film)
        self.progress.update(self.step, eval_return=mean)
        self.progress.message(
            f"step {self.step}: evaluation return {mean:.1f} with the planner, "
            f"{policy.returns.mean():.1f} with the bare policy "
            f"({planner.returns.size} episodes each)"
        )
        self.stopwatch.pause(begun)
