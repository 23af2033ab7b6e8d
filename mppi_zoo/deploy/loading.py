"""From a run folder to a controller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.checkpoint import fill_agent, load_agent
from mppi_zoo.compute.threads import by_rule, work
from mppi_zoo.config import gin_config as config
from mppi_zoo.config import trust
from mppi_zoo.core.types import EnvSpec
from mppi_zoo.deploy.actions import ActionSpace
from mppi_zoo.deploy.controller import Controller
from mppi_zoo.deploy.fallback import Fallback, named
from mppi_zoo.deploy.sharing import WEIGHTS, is_shared, read_shared
from mppi_zoo.runs import folder as run_folder


def threads_for(agent: POMPCAgent) -> int:
    """CPU threads to act with: ``OMP_NUM_THREADS``, or by rule."""
    return by_rule(work(agent.planner.samples, agent.world_model.mlp_dim))


def load(
    folder: str | Path,
    *,
    best: bool = True,
    device: str | torch.device = "cpu",
    threads: int | None = None,
    compile: bool = False,
    fallback: str | Fallback = "raise",
    imports: bool = False,
) -> Controller:
    """The agent of a run folder, ready to act; no environment is needed.

    Args:
        folder: a run folder, as ``python -m mppi_zoo.run`` writes it, or a shared agent's, as
            ``python -m mppi_zoo.share`` does.
        best: take the agent with the best evaluation; if False, the last one. A shared agent's
            folder has one.
        device: device to compute on.
        threads: CPU threads; None chooses them by the networks' sizes and the cores, or takes
            ``OMP_NUM_THREADS`` (docs/speed.md, "Threads").
        compile: compile the planner, here and now: about a minute, seconds where torch's cache has
            it. It plans about twice as fast, and needs a C++ compiler.
        fallback: what ``act`` does where no action can be chosen, since the observation is not
            finite, say: "raise" an error, "hold" the last action, or take the "zero" of the
            environment's units; or a part of your own, a
            :class:`~mppi_zoo.deploy.fallback.Fallback`.
        imports: import the modules that the folder names, which runs their code: of folders that
            you trust. Those that you have imported yourself need no permission.

    Raises:
        FileNotFoundError: if the folder is not a run folder or holds no agent yet.
        ForeignCode: a ValueError: if it names modules, and ``imports`` is not given.
        ValueError: if its files are damaged, ``threads`` is below 1, or no fallback has this name.
    """
    chosen = named(fallback) if isinstance(fallback, str) else fallback
    folder = Path(folder)
    record = run_folder.read(folder)
    experiment = experiment_of(folder, record, imports)
    agent = experiment.agent(EnvSpec(**record["spec"]), device=device)
    if is_shared(folder):
        fill_agent(agent, read_shared(folder), str(folder / WEIGHTS))
    else:
        load_agent(folder, agent, best)
    controller = Controller(
        experiment.execution(agent),
        ActionSpace.from_json(record["action_bounds"]),
        fallback=chosen,
        threads=threads_for(agent) if threads is None else threads,
    )
    if compile:
        controller.execution.compile()
        controller.warm_up()
    return controller


def experiment_of(folder: Path, record: dict[str, Any], imports: bool = False) -> config.Experiment:
    """The folder's configuration, parsed; modules are imported where that is allowed.

    Args:
        record: the folder's ``run.json``.
        imports: as of :func:`load`.
    """
    modules = trust.modules_of_record(record)
    if not imports:
        trust.refuse_modules(modules, str(folder / run_folder.RUN_FILE))
        in_gin = trust.modules_of_run_config(folder, run_folder.CONFIG_FILE)
        trust.refuse_modules(in_gin, str(folder / run_folder.CONFIG_FILE))
    return config.parse([str((folder / run_folder.CONFIG_FILE).resolve())], imports=modules)
