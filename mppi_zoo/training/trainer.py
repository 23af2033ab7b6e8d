"""The training loop: collect, learn, evaluate, record (docs/method.md, section 6)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mppi_zoo.agent.actor import Acted, Actor
from mppi_zoo.agent.checkpoint import save_agent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.core.rng import Generators
from mppi_zoo.core.types import Gaussian
from mppi_zoo.envs import EpisodeVector
from mppi_zoo.runs.metrics import MetricsLogger
from mppi_zoo.runs.progress import Progress
from mppi_zoo.training.callbacks import Callback, Callbacks
from mppi_zoo.training.control_rate import AsFastAsPossible, ControlRate
from mppi_zoo.training.evaluation import Evaluator
from mppi_zoo.training.evaluations import evaluations_by
from mppi_zoo.training.health import HealthCheck
from mppi_zoo.training.options import TrainingOptions
from mppi_zoo.training.reanalysis import NoReanalysis, Reanalysis
from mppi_zoo.training.replay import Replay
from mppi_zoo.training.throughput import Stopwatch
from mppi_zoo.training.trainer_state import TrainerState, record_ended
from mppi_zoo.training.update_timing import EveryStep, UpdateTiming


class Trainer:
    """Trains one agent on one task.

    Training is a sequence of units: a random or a planned step in every environment with the
    updates due for it, an update of the pretraining, an evaluation. Between two units
    :mod:`mppi_zoo.training.checkpointing` can take and restore everything that the rest of the
    training depends on.

    Args:
        execution: of the agent that learns.
        envs: N environments for training.
        evaluator: None switches evaluation off; training is bit-identical with and without.
        replay: with N lanes.
        reanalysis: refreshes the stored plans.
        options: the schedule.
        seed: of the run.
        logger: of ``metrics.csv`` and ``timing.csv``.
        progress: what the user sees.
        folder: of the run, for agents, videos and the batches of bad updates.
        film: whether the last evaluation is filmed.
        beside: whether an evaluation runs beside training (:mod:`mppi_zoo.training.evaluations`).
        callbacks: called after steps, episodes and evaluations; with any, nothing runs beside.
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
        beside: Callable[[], bool] | None = None,
        callbacks: Sequence[Callback] = (),
    ):
        self.execution, self.envs = execution, envs
        self.agent = agent = execution.agent
        self.replay, self.reanalysis, self.options = replay, reanalysis, options
        self.logger, self.progress, self.folder = logger, progress, folder
        self.seed_steps = options.seed_phase(envs.spec.episode_length)
        # each use of randomness has a generator of its own, from the seed
        self.seed = seed
        self.generators = Generators.from_seed(seed, agent.device)
        self.actor = Actor(execution, envs.num_envs, self.generators.acting)
        self.callbacks = Callbacks(callbacks)
        self.health = HealthCheck(agent, folder)
        beside = None if callbacks else beside
        with_evaluator = (options.steps, logger, progress, folder, film, beside, self.callbacks)
        self.evaluations = evaluations_by(evaluator, *with_evaluator)
        self.stopwatch = Stopwatch()
        self.updates: UpdateTiming = options.updates or EveryStep()
        self.rate: ControlRate = options.rate or AsFastAsPossible()
        self.state = TrainerState.initial(envs.num_envs)
        self.obs: np.ndarray | None = None  # [N, O]; None before the first episode
        self.waiting = np.zeros(envs.num_envs, dtype=bool)  # whose next episode has not begun
        self.phase = ""  # as shown to the user

    def run(self, between: Callable[[], None] = lambda: None) -> None:
        """Train to the last step, evaluate at the end, and save the final agent.

        Args:
            between: called between two units, when the run's state may be taken.
        """
        if self.obs is None:
            self.obs = self.envs.reset()
            self.rate.begin()
        try:
            while not self.finished:
                self.unit()
                self.progress.update(self.state.step)
                between()
        finally:
            self.evaluations.abandon()
        save_agent(self.folder / "checkpoints" / "last.pt", self.agent, self.state.step)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        due = self.state.pretraining_left or self.state.evaluation_due
        return bool(self.callbacks.stopped) or (self.state.step >= self.options.steps and not due)

    def unit(self) -> None:
        """Do what comes next."""
        self.evaluations.collect(self.state)
        state, ended = self.state, bool(self.waiting.any())
        if self.updates.due(state.pretraining_left, ended):
            self._enter("pretraining")
            self.pretrain()
        elif state.evaluation_due and self.evaluations.may_begin(state.step, self.waiting):
            self.evaluate()
        elif not self._seeded() or state.pretraining_left:
            self._enter("seed phase")
            self.explore()
        else:
            self._enter("training")
            self.advance()
        self.callbacks.tell(self)

    def _enter(self, phase: str) -> None:
        if phase != self.phase:
            self.phase = phase
            self.progress.phase(phase)

    def _seeded(self) -> bool:
        """Whether the random steps are over, by their number or by the episodes that ended."""
        if (step := self.state.step) >= self.seed_steps:
            return True
        return self.options.seeded_early(step, int((self.envs.episode - 1 + self.waiting).sum()))

    def explore(self) -> None:
        """Take a random step in every environment; the last one makes the pretraining due."""
        self.begin_episodes()
        shape = (self.envs.num_envs, self.envs.spec.action_dim)
        action = self.generators.exploration.uniform(-1, 1, shape).astype(np.float32)
        self._take(action, None)
        if self._seeded():
            steps = min(self.state.step, self.seed_steps)
            self.state.pretraining_left = round(steps * self.options.updates_per_step)
            self.stopwatch = Stopwatch()

    def pretrain(self) -> None:
        """Make one of as many updates as random steps were taken."""
        metrics = self.learn(pretraining=True)
        left = self.state.pretraining_left = self.state.pretraining_left - 1
        self.progress.update(self.state.step, updates_left=left or None)
        if not left:
            self.stopwatch = Stopwatch()
            self._record_if_due(metrics)

    def advance(self) -> None:
        """Take a planned step in every environment, and make the updates due for it."""
        self.begin_episodes()
        now = time.perf_counter()
        before = self.state.step
        acted = self._plan()
        self.stopwatch.add("plan", now)

        # step; the plan is stored from the device that the replay is on
        on_host = self.replay.device.type == "cpu"
        self._take(acted.action, acted.plan if on_host else acted.result.dist)

        # learn
        state = self.state
        state.updates_owed += self.options.updates_per_step * (state.step - before)
        metrics: dict[str, Tensor] | None = None
        ended = bool(self.waiting.any()) or state.step >= self.options.steps
        for _ in range(self.updates.due(state.updates_owed, ended)):
            metrics = self.learn(pretraining=False)
            state.updates_owed -= 1
        if metrics is not None:
            self._record_if_due(metrics)

    def _plan(self) -> Acted:
        """Plan for every environment, and check the last updates in the same transfer."""
        assert self.obs is not None
        try:
            acted = self.actor.act(
                self.obs, greedy=False, flag=self.health.finite_flag(), step=self.state.step
            )
        except FloatingPointError:
            # an update or parameters that are not finite explain more than the action does
            self.health.check()
            self.health.check_parameters(self.state.step)
            raise
        self.health.check(acted.finite)
        return acted

    def _take(self, action: np.ndarray, plan: Gaussian | None) -> None:
        """Step every environment, into the replay.

        Args:
            action: [N, A]; plan: [N, A] that it was drawn from, None for a random action.
        """
        state, obs = self.state, self.obs
        assert obs is not None
        self.rate.wait()
        now = time.perf_counter()
        next_obs, reward, terminated, truncated = self.envs.step(action)
        done, taken = terminated | truncated, self.envs.taken
        now = self.stopwatch.add("environment", now)

        # store what was a step, and did not only begin an episode
        if taken.any():
            self.agent.world_model.normalizer.observe(torch.from_numpy(obs[taken]))
            seen, acted, earned = (torch.from_numpy(part) for part in (obs, action, reward))
            ends = torch.from_numpy(terminated.astype(np.float32))
            after = torch.from_numpy(next_obs)
            lanes = None if taken.all() else taken
            self.replay.add(seen, acted, earned, ends, done, after, plan, lanes)
        before = state.step
        state.count(reward, taken, self.envs.success)
        self.stopwatch.steps += state.step - before

        self.obs = next_obs
        record_ended(state, done, self.logger, self.progress, self.callbacks)
        state.begin_episodes(done)
        self.waiting |= done
        if not taken.all():  # what was planned there was planned for the episode before
            self.actor.reset(~taken)
        self.callbacks.note("on_step")
        self.stopwatch.add("replay", now)
        if self.evaluations.wanted and self.options.evaluation_due(before, state.step):
            state.evaluation_due = True

    def begin_episodes(self) -> None:
        """Begin the episodes that wait, before the next step."""
        if self.waiting.any():
            self.obs = self.envs.reset(self.waiting)
            self.actor.reset(self.waiting)
            self.waiting[:] = False
            self.rate.begin()

    def learn(self, *, pretraining: bool) -> dict[str, Tensor]:
        """Make one update on a fresh batch; its metrics stay on the device, 0-d each."""
        agent, state = self.agent, self.state
        if self.health.due:
            self.health.check()
        now = time.perf_counter()
        batch = self.replay.sample(self.options.batch_size, self.generators.replay)
        now = self.stopwatch.add("sample", now)
        state.updates += 1

        # plan anew for some of its states, where that is due
        if not pretraining:
            batch = self.reanalysis.refresh(
                self.execution, self.replay, batch, state.updates, self.generators.reanalysis
            )
            now = self.stopwatch.add("reanalysis", now)

        # update
        noise = agent.draw_update_noise(batch, self.generators.updates)
        metrics = self.execution.update(batch, state.step, noise, pretraining=pretraining)
        self.health.note(state.step, state.updates, batch, metrics)
        self.stopwatch.add("update", now)
        return metrics

    def _record_if_due(self, metrics: dict[str, Tensor]) -> None:
        """Write an update's metrics to metrics.csv and timings to timing.csv, once an interval."""
        state = self.state
        if not self.options.record_due(state.last_log, state.step):
            return
        self.health.check()
        values = torch.stack(list(metrics.values())).tolist()  # one transfer for all
        self.logger.write(state.step, "train", dict(zip(metrics, values, strict=True)))
        self.logger.timing(state.step, self.stopwatch.lap() | self.rate.lap())
        state.last_log = state.step

    def evaluate(self) -> None:
        """Wait for the evaluation under way; if none is, evaluate, or begin to."""
        evaluations, state, begun = self.evaluations, self.state, time.perf_counter()
        if not evaluations.starts_beside(state):
            self._enter("evaluating")
        if evaluations.under_way is not None:
            evaluations.wait(state)
        else:
            self.health.check()
            if evaluations.between_episodes:  # in the same environment: leave the episodes there
                self.replay.end_episodes(~self.waiting)
                state.begin_episodes(~self.waiting)
                self.waiting[:] = True
            evaluations.evaluate(self.execution, self.replay, state)
        self.stopwatch.pause(begun)
