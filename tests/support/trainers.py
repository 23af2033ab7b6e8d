"""A trainer of tiny networks on toy:point, for tests of the training's parts."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from mppi_zoo.agent.execution import Execution
from mppi_zoo.config import gin_config as config
from mppi_zoo.envs import EpisodeVector
from mppi_zoo.runs.metrics import MetricsLogger
from mppi_zoo.runs.progress import Progress
from mppi_zoo.training.callbacks import Callback
from mppi_zoo.training.evaluation import Evaluator
from mppi_zoo.training.replay import Replay
from mppi_zoo.training.trainer import Trainer

SCHEDULE = ("steps=30", "seed_steps=10", "eval_every=15", "eval_episodes=1", "iterations=1")


@contextlib.contextmanager
def small_trainer(
    folder: Path,
    *params: str,
    member: str = "pompc_replay",
    task: str = "toy:point-terminating",
    num_envs: int = 1,
    evaluated: bool = True,
    stream: io.StringIO | None = None,
    callbacks: Sequence[Callback] = (),
) -> Iterator[Trainer]:
    """A trainer before its first step, of run seed 1; messages go to ``stream``."""
    bindings = [config.set_macro("task", task), *SCHEDULE, *params]
    experiment = config.parse([member, "debug"], bindings)
    options = experiment.training
    with contextlib.ExitStack() as stack:
        envs = stack.enter_context(EpisodeVector(task, num_envs, 1, "training"))
        evaluator = None
        if evaluated:
            others = EpisodeVector(task, options.eval_episodes, 1, "evaluation")
            evaluator = Evaluator(stack.enter_context(others), 1)
        torch.manual_seed(1)
        agent = experiment.agent(envs.spec)
        yield Trainer(
            Execution(agent),
            envs,
            evaluator,
            Replay(
                envs.spec,
                200,
                agent.planner.horizon,
                num_envs,
                sampling=experiment.sampling,
                past_the_end=experiment.past_the_end,
            ),
            experiment.reanalysis,
            options,
            1,
            stack.enter_context(MetricsLogger(folder, tensorboard=False)),
            Progress(options.steps, quiet=stream is None, interval=1e9, stream=stream),
            folder,
            callbacks=callbacks,
        )
