"""What the configuration and the command line ask for, built and checked; nothing is written."""

from __future__ import annotations

import argparse
import contextlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from mppi_zoo.agent.checkpoint import load_agent, size_macros
from mppi_zoo.agent.execution import Execution
from mppi_zoo.cli.arguments import overrides, pick_device
from mppi_zoo.config import gin_config as config
from mppi_zoo.config import trust, validation
from mppi_zoo.core.extras import require
from mppi_zoo.envs import EpisodeVector, rendering_available
from mppi_zoo.runs import folder as run_folder
from mppi_zoo.training.control_rate import AsFastAsPossible
from mppi_zoo.training.evaluation import Evaluator
from mppi_zoo.training.replay import replay_bytes
from mppi_zoo.training.same_environment import SameEnvironment


class Setup(NamedTuple):
    """The parts of a run."""

    experiment: config.Experiment
    operative: str  # the whole configuration as text
    member: str
    device: torch.device  # of the agent
    execution: Execution
    envs: EpisodeVector  # for training
    rows: int  # of the replay
    replay_device: torch.device
    evaluator: Evaluator | None = None
    film: bool = False  # whether the last evaluation is filmed
    note: str = ""  # why not, where it was wanted


def build(
    args: argparse.Namespace, record: dict[str, Any] | None, stack: contextlib.ExitStack
) -> Setup:
    """Build the parts of a run and check that they fit one another.

    Args:
        args: settled by :func:`mppi_zoo.cli.resume.settle`.
        record: of the run to resume; None for a new one.
        stack: closes the environments.

    Raises:
        ValueError, OSError, ImportError: naming what is wrong and how to mend it.
    """
    if args.eval_env == "same" and args.async_envs:
        raise ValueError(
            "--eval-env same and --async-envs: expected at most one of them, since processes of "
            "their own need another environment here"
        )
    if not (args.show or args.eval):
        require("train")
    if args.wandb is not None:
        require("wandb")  # refused here, before there is a folder
    # configuration
    device = pick_device(args.device)
    files = args.gin or [str((args.resume / run_folder.CONFIG_FILE).resolve())]
    foreign = record is not None and not args.gin and not args.trust
    if foreign:
        named = trust.modules_of_run_config(args.resume, run_folder.CONFIG_FILE)
        trust.refuse_modules(named, files[0], args.imports)
    sizes = {} if args.init_from is None else size_macros(args.init_from)
    prescribed = [config.set_macro(name, value) for name, value in sizes.items()]
    experiment = config.parse(files, [*prescribed, *overrides(args)], args.imports)
    if foreign and args.task is None:
        trust.refuse_task(experiment.task, files[0], args.imports)
    member = Path(files[0]).stem if record is None else record["member"]

    # environments and agent
    envs = stack.enter_context(
        EpisodeVector(
            experiment.task, args.num_envs, args.seed, "training", experiment.env, args.async_envs
        )
    )
    execution = build_agent(experiment, envs, args.seed, device)
    agent = execution.agent
    if args.init_from is not None and record is None:
        load_agent(args.init_from, agent)

    # checks
    config.check_dead_bindings(files, args.param)
    rows = validation.replay_rows(experiment, agent.planner.horizon, args.num_envs)
    host = replay_device(device, replay_bytes(envs.spec, rows))
    validation.check(experiment, agent.planner, envs, replay_on_host=host.type == "cpu")
    operative = config.operative_config()
    return Setup(experiment, operative, member, device, execution, envs, rows, host)


def build_agent(
    experiment: config.Experiment, envs: EpisodeVector, seed: int, device: torch.device
) -> Execution:
    """The agent with initial parameters from the seed, the same on every device."""
    random.seed(seed)  # only for parts and environments of users: all else has its own sources
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    return experiment.execution(experiment.agent(envs.spec, device=device, seed=seed))


def replay_device(device: torch.device, needed: int) -> torch.device:
    """The agent's device if the replay leaves half of its free memory, else the host.

    Args:
        needed: bytes of the replay.
    """
    if device.type != "cuda":
        return torch.device("cpu")
    free, _ = torch.cuda.mem_get_info(device)
    return device if needed < free / 2 else torch.device("cpu")


def add_evaluator(
    setup: Setup,
    args: argparse.Namespace,
    stack: contextlib.ExitStack,
    each_step: Callable[[], None],
) -> Setup:
    """The same setup with an evaluator, where one is asked for.

    Args:
        stack: closes the evaluator's environments.
        each_step: called before each step; may raise to abandon an evaluation.
    """
    film, note = filming(args)
    setup = setup._replace(film=film, note=note)
    experiment, options = setup.experiment, setup.experiment.training
    if not (options.eval_every or args.eval):
        return setup
    if args.eval_env == "same":
        rate = options.rate or AsFastAsPossible()
        same = SameEnvironment(setup.envs, args.seed, options.eval_episodes, rate, each_step)
        return setup._replace(evaluator=same)

    def built(render: bool) -> EpisodeVector:
        episodes, task = options.eval_episodes, experiment.task
        purpose, env = "evaluation", experiment.env
        return EpisodeVector(task, episodes, args.seed, purpose, env, render=render)

    try:
        envs = built(film)
    except (ValueError, RuntimeError) as error:
        if not film:
            raise
        # the training's environments were built, so it is rendering that fails: many cannot
        setup, envs = setup._replace(film=False, note=f"no evaluation video: {error}"), built(False)
    return setup._replace(evaluator=Evaluator(stack.enter_context(envs), args.seed, each_step))


def filming(args: argparse.Namespace) -> tuple[bool, str]:
    """Whether an evaluation can be filmed; if that was wanted and cannot be, also why."""
    if args.no_video:
        return False, ""
    if args.eval_env == "same":
        return False, "no evaluation video: --eval-env same films none"
    available, reason = rendering_available()
    return available, "" if available else f"no evaluation video: {reason}"
