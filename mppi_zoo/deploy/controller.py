"""A trained agent for use in any program: ``mppi_zoo.load(RUN_FOLDER).act(obs)``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from mppi_zoo.agent.actor import Actor, finite_action
from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.checkpoint import load_agent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.agent.parts import refuse_bad_parameters, version_count
from mppi_zoo.compute.threads import by_rule, using, work
from mppi_zoo.config import gin_config as config
from mppi_zoo.config import trust
from mppi_zoo.core.rng import generator_for
from mppi_zoo.core.types import EnvSpec
from mppi_zoo.deploy.observations import flatten, refuse_unusable
from mppi_zoo.runs import folder as run_folder


class Controller:
    """Acts with a trained agent, one observation at a time.

    Args:
        execution: runs the trained agent.
        action_low, action_high: [A] the environment's own bounds, for ``act(..., native=True)``.
        seed: seed of the planner's random draws.
        check: raises for an observation [O] that must not be acted on.
        threads: CPU threads to compute with; the program's own number is left as it is.

    Raises:
        ValueError: the agent has parameters that are not finite.
    """

    def __init__(
        self,
        execution: Execution,
        action_low: np.ndarray,
        action_high: np.ndarray,
        seed: int = 0,
        check: Callable[[np.ndarray], None] = refuse_unusable,
        threads: int = 1,
    ):
        if threads < 1:
            raise ValueError(f"threads = {threads}: expected at least 1")
        self.threads = threads
        self.execution, self.agent = execution, execution.agent
        self.action_low, self.action_high = action_low, action_high
        self.check = check
        self._checked = -1
        self._check_parameters()
        self._actor = Actor(execution, 1, generator_for(seed, "deployment", self.agent.device))

    def reset(self) -> None:
        """Call at the start of an episode: the planner forgets its last plan."""
        self._checked = -1
        self._actor.reset()

    def _check_parameters(self) -> None:
        """Refuse parameters that are not finite, if any was written since the last check."""
        versions = version_count(self.agent.parts)
        if versions != self._checked:
            refuse_bad_parameters(self.agent.parts, "the agent")
            self._checked = versions

    def act(self, obs: np.ndarray, *, native: bool = False, planner: bool = True) -> np.ndarray:
        """The action [A] for an observation, flattened to [O].

        Args:
            native: return the action in the environment's own units instead of [-1, 1].
            planner: plan; if False, act with the bare policy, which is many times faster.

        Raises:
            UnusableObservation: a ValueError: the observation has another size than in training, or
                an entry that is NaN, infinite or absurd, which the message names.
            ValueError: parameters of the agent are not finite.
        """
        obs = flatten(obs, self.agent.spec.obs_dim)
        self.check(obs)
        self._check_parameters()
        flat = obs.astype(np.float32)[None]
        with using(self.threads):
            if planner:
                action = self._actor.act(flat, greedy=True)[0][0]
            else:
                action = finite_action(self.agent.policy_action(self.agent.tensor(flat)))[0]
        if not native:
            return action
        return self.action_low + 0.5 * (action + 1) * (self.action_high - self.action_low)


def threads_for(agent: POMPCAgent) -> int:
    """CPU threads to act with: ``OMP_NUM_THREADS``, or by rule."""
    return by_rule(work(agent.planner.samples, agent.world_model.mlp_dim))


def load(
    folder: str | Path,
    *,
    best: bool = True,
    device: str | torch.device = "cpu",
    threads: int | None = None,
    imports: bool = False,
) -> Controller:
    """The agent of a run folder, ready to act; no environment is needed.

    Args:
        folder: a run folder, as ``python -m mppi_zoo.run`` writes it.
        best: take the agent with the best evaluation; if False, the last one.
        device: device to compute on.
        threads: CPU threads; None chooses them by the networks' sizes and the cores, or takes
            ``OMP_NUM_THREADS`` (docs/speed.md, "Threads").
        imports: import the modules that the folder names, which runs their code: of folders that
            you trust. Those that you have imported yourself need no permission.

    Raises:
        FileNotFoundError: if the folder is not a run folder or holds no agent yet.
        ForeignCode: a ValueError: if it names modules, and ``imports`` is not given.
        ValueError: if its files are damaged, or ``threads`` is below 1.
    """
    folder = Path(folder)
    record = run_folder.read(folder)
    modules = trust.modules_of_record(record)
    if not imports:
        trust.refuse_modules(modules, str(folder / run_folder.RUN_FILE))
        in_gin = trust.modules_of_run_config(folder, run_folder.CONFIG_FILE)
        trust.refuse_modules(in_gin, str(folder / run_folder.CONFIG_FILE))
    experiment = config.parse([str((folder / run_folder.CONFIG_FILE).resolve())], imports=modules)
    agent = experiment.agent(EnvSpec(**record["spec"]), device=device)
    load_agent(folder, agent, best)
    bounds = record["action_bounds"]
    return Controller(
        experiment.execution(agent),
        np.asarray(bounds["low"], np.float32),
        np.asarray(bounds["high"], np.float32),
        threads=threads_for(agent) if threads is None else threads,
    )
