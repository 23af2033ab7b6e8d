"""The training loop: collect, learn, evaluate, record (spec section 6)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mppi_zoo.actor import Actor
from mppi_zoo.agent import POMPCAgent
from mppi_zoo.base import Gaussian
from mppi_zoo.checkpoint import save_agent
from mppi_zoo.diagnostics import Diagnostics
from mppi_zoo.envs import EpisodeVector
from mppi_zoo.evaluation import Evaluator
from mppi_zoo.metrics import MetricsLogger
from mppi_zoo.noise import generator_for, numpy_generator_for
from mppi_zoo.progress import Progress
from mppi_zoo.reanalysis import NoReanalysis, Reanalysis
from mppi_zoo.replay import Replay
from mppi_zoo.training_options import TrainingOptions
from mppi_zoo.video import save_video


class Generators(NamedTuple):
    """One source of randomness for each purpose, all derived from the run's seed."""

    acting: torch.Generator
    updates: torch.Generator
    reanalysis: torch.Generator
    replay: np.random.Generator
    exploration: np.random.Generator  # the seed phase's random actions

    @classmethod
    def from_seed(cls, seed: int, device: torch.device) -> Generators:
        return cls(
            generator_for(seed, "acting", device),
            generator_for(seed, "updates", device),
            generator_for(seed, "reanalysis", device),
            numpy_generator_for(seed, "replay"),
            numpy_generator_for(seed, "exploration"),
        )


class Stopwatch:
    """Seconds spent in each part of the loop since the last record."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.begun = time.perf_counter()

    def add(self, part: str, since: float) -> float:
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - since
        self.counts[part] = self.counts.get(part, 0) + 1
        return now

    def lap(self, steps: int) -> dict[str, float]:
        """Milliseconds a call by part, and agent steps/s; starts anew."""
        elapsed = time.perf_counter() - self.begun
        figures = {f"{p}_ms": 1e3 * s / self.counts[p] for p, s in self.seconds.items()}
        figures["steps_per_second"] = steps / elapsed
        self.__init__()
        return figures


class Trainer:
    """Trains one agent on one task.

    Args:
        agent: who learns.
        envs: N environments for training.
        evaluator: None switches evaluation off; training is bit-identical with and without.
        replay: with N lanes.
        reanalysis: refreshes the stored plans.
        options: the schedule.
        seed: of the run.
        logger, progress: where figures go.
        folder: of the run, for checkpoints and videos.
        film: whether evaluations are filmed.
    """

    def __init__(
        self,
        agent: POMPCAgent,
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
        self.agent, self.envs, self.evaluator = agent, envs, evaluator
        self.replay, self.reanalysis, self.options = replay, reanalysis, options
        self.logger, self.progress, self.folder, self.film = logger, progress, folder, film
        self.generators = Generators.from_seed(seed, agent.device)
        self.diagnostics = Diagnostics(seed)
        self.actor = Actor(agent, envs.num_envs, self.generators.acting)
        self.seed_steps = options.seed_phase(envs.spec.episode_length)
        self.step = 0  # agent steps taken, over all environments
        self.updates = 0
        self.owed = 0.0  # updates due for the steps taken
        self.best_return = -np.inf
        self.last_eval = float("nan")
        self.episode_return = np.zeros(envs.num_envs)
        self.episode_length = np.zeros(envs.num_envs, dtype=np.int64)
        self.stopwatch = Stopwatch()
        self.last_log = 0
        self.obs = envs.reset()

    def run(self) -> None:
        """Train to the last step; the final agent is evaluated and saved."""
        self.progress.phase("seed phase")
        while self.step < self.options.steps:
            seeding = self.step < self.seed_steps
            self.collect(random=seeding)
            figures: dict[str, Tensor] | None = None
            if seeding and self.step >= self.seed_steps:
                figures = self.pretrain()
                self.progress.phase("training")
            elif not seeding:
                self.owed += self.options.updates_per_step * self.envs.num_envs
                while self.owed >= 1:
                    figures = self.learn(pretraining=False)
                    self.owed -= 1
            if figures is not None and self._due(self.options.log_every, self.last_log):
                self.record(figures)
            last = self.step >= self.options.steps
            if self._crossed(self.options.eval_every) or (last and self.options.eval_every):
                self.evaluate(last)
            self.progress.update(self.step)
        save_agent(self.folder / "checkpoints" / "last.pt", self.agent, self.step)

    def _due(self, interval: int, since: int) -> bool:
        return self.step // interval > since // interval

    def _crossed(self, interval: int) -> bool:
        """Whether this loop's steps passed a multiple of the interval."""
        before = self.step - self.envs.num_envs
        return bool(interval) and self.step // interval > before // interval

    def collect(self, *, random: bool) -> None:
        """One step in every environment, into the replay."""
        now = time.perf_counter()
        plan: Gaussian | None = None
        if random:
            shape = (self.envs.num_envs, self.envs.spec.action_dim)
            action = self.generators.exploration.uniform(-1, 1, shape).astype(np.float32)
        else:
            action, result = self.actor.act(self.obs, greedy=False)
            plan = result.dist
            now = self.stopwatch.add("plan", now)
        next_obs, reward, terminated, truncated = self.envs.step(action)
        done = terminated | truncated
        if not random:
            now = self.stopwatch.add("environment", now)
        self.replay.add(
            torch.from_numpy(self.obs),
            torch.from_numpy(action),
            torch.from_numpy(reward),
            torch.from_numpy(terminated.astype(np.float32)),
            done,
            torch.from_numpy(next_obs),
            plan,
        )
        self.step += self.envs.num_envs
        self.episode_return += reward
        self.episode_length += 1
        self.obs = next_obs
        if done.any():
            self._finish_episodes(done)
        if not random:
            self.stopwatch.add("replay", now)

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

    def pretrain(self) -> dict[str, Tensor]:
        """As many updates at once as random steps were taken."""
        self.progress.phase("pretraining")
        count = max(round(self.seed_steps * self.options.updates_per_step), 0)
        figures: dict[str, Tensor] = {}
        for done in range(count):
            figures = self.learn(pretraining=True)
            self.progress.update(self.step, updates_left=count - done - 1)
        self.progress.update(self.step, updates_left=None)
        self.stopwatch.lap(0)
        return figures

    def learn(self, *, pretraining: bool) -> dict[str, Tensor]:
        """One update on a fresh batch."""
        agent, now = self.agent, time.perf_counter()
        batch = self.replay.sample(self.options.batch_size, self.generators.replay)
        now = self.stopwatch.add("sample", now)
        self.updates += 1
        if not pretraining:
            batch = self.reanalysis.refresh(
                agent, self.replay, batch, self.updates, self.generators.reanalysis
            )
            now = self.stopwatch.add("reanalysis", now)
        noise = agent.draw_update_noise(batch, self.generators.updates)
        figures = agent.update(batch, self.step, noise, pretraining=pretraining)
        self.stopwatch.add("update", now)
        return figures

    def record(self, figures: dict[str, Tensor]) -> None:
        """Losses to metrics.csv, timings to timing.csv."""
        self.logger.write(self.step, "train", figures)
        self.logger.timing(self.step, self.stopwatch.lap(self.step - self.last_log))
        self.last_log = self.step

    def evaluate(self, last: bool = False) -> None:
        """Planner and bare policy; keeps the latest and the best agent."""
        if self.evaluator is None:
            return
        self.progress.phase("evaluating")
        begun = time.perf_counter()
        planner = self.evaluator.planner(self.agent, self.step, film=self.film and last)
        policy = self.evaluator.policy(self.agent, self.step)
        self.logger.write(self.step, "eval", planner.figures())
        self.logger.write(self.step, "eval_policy", policy.figures())
        diagnosed = self.diagnostics.figures(self.agent, self.replay, self.step, planner, policy)
        self.logger.write(self.step, "diagnostic", diagnosed)
        self.logger.timing(self.step, {"evaluation_s": time.perf_counter() - begun})
        self.last_eval = float(planner.returns.mean())
        checkpoints = self.folder / "checkpoints"
        save_agent(checkpoints / "last.pt", self.agent, self.step)
        if self.last_eval > self.best_return:
            self.best_return = self.last_eval
            save_agent(checkpoints / "best.pt", self.agent, self.step)
        if planner.frames:
            path = self.folder / "videos" / f"evaluation_{self.step}.mp4"
            self.progress.message(save_video(path, planner.frames))
        self.progress.update(self.step, eval_return=self.last_eval)
        self.progress.message(
            f"step {self.step}: evaluation return {self.last_eval:.1f} with the planner, "
            f"{policy.returns.mean():.1f} with the bare policy "
            f"({planner.returns.size} episodes each)"
        )
        self.progress.phase("training")
        self.stopwatch.begun += time.perf_counter() - begun
