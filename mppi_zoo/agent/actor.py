"""Actor: the planner (or the bare policy) between NumPy observations and actions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mppi_zoo.agent.deadline import Deadline
from mppi_zoo.agent.execution import Execution
from mppi_zoo.compute import transfer
from mppi_zoo.core.types import Gaussian
from mppi_zoo.planning.base import PlanResult


class Acted(NamedTuple):
    """What an environment step needs of the device, brought over in one transfer."""

    action: np.ndarray  # [N, A] in [-1, 1], float32
    result: PlanResult  # on the device
    plan: Gaussian  # [N, A] ``result.dist`` on the host
    finite: bool  # the flag that came along, True if there was none


class Actor:
    """Plans for N environments at once and owns their warm starts.

    Args:
        execution: of the agent that plans.
        num_envs: N.
        generator: source of the plans' noise, on the agent's device.
    """

    def __init__(self, execution: Execution, num_envs: int, generator: torch.Generator):
        self.execution, self.generator = execution, generator
        agent = execution.agent
        shape = (agent.planner.warm_rows, num_envs, agent.spec.action_dim)
        self.warm_start = torch.zeros(shape, dtype=agent.dtype, device=agent.device)

    def reset(self, mask: np.ndarray | None = None) -> None:
        """Forget the plans of the environments in mask [N] bool whose episodes begin; None: all."""
        if mask is None:
            self.warm_start.zero_()
        else:
            begins = transfer.to_device(mask, self.warm_start.device)
            self.warm_start.masked_fill_(begins[:, None], 0.0)

    def act(
        self,
        obs: np.ndarray,
        *,
        greedy: bool,
        flag: Tensor | None = None,
        step: int | None = None,
    ) -> Acted:
        """Plan for observations [N, O].

        Args:
            greedy: without exploration noise.
            flag: 0-d, to be looked at by the caller: it comes to the host with the action.
            step: agent steps taken so far; None where no training is under way.

        Raises:
            FloatingPointError: if an action is not finite.
        """
        noise = self.execution.agent.draw_plan_noise(obs.shape[0], self.generator)
        result = self._planned(obs, noise, self.warm_start, greedy, step)
        self.warm_start = result.warm_start
        flags = () if flag is None else (flag,)
        action, mean, std, *told = transfer.to_host(result.action, *result.dist, *flags)
        plan = Gaussian(torch.from_numpy(mean), torch.from_numpy(std))
        return Acted(_finite(action), result, plan, all(bool(value) for value in told))

    def act_until(self, obs: np.ndarray, deadline: Deadline) -> tuple[np.ndarray, int]:
        """Greedy actions [N, A] for observations [N, O], by a deadline.

        They come from the plan after as many stages as fit, of the bare policy where none does;
        the next plan then starts anew.

        Returns:
            The actions, and how many of the planner's stages were made.

        Raises:
            FloatingPointError: if an action is not finite.
        """
        agent = self.execution.agent
        noise = agent.draw_plan_noise(obs.shape[0], self.generator)
        observed = agent.tensor(obs)
        result, stages = self.execution.act_while(
            deadline, observed, noise, warm_start=self.warm_start
        )
        if result is None:
            self.reset()
            action = agent.policy_action(observed)
        else:
            self.warm_start, action = result.warm_start, result.action
        host = finite_action(action)
        deadline.over()
        return host, stages

    def _planned(
        self, obs: np.ndarray, noise: Any, warm_start: Tensor, greedy: bool, step: int | None
    ) -> PlanResult:
        """Plan; the agent step goes to a planner that depends on it, others need no copy of it."""
        agent, now = self.execution.agent, None
        if step is not None and agent.planner.reads_step:
            now = torch.tensor(float(step), device=agent.device, dtype=torch.float64)
        return self.execution.act(
            agent.tensor(obs), noise, warm_start=warm_start, greedy=greedy, step=now
        )

    def act_running(
        self, obs: np.ndarray, running: np.ndarray, step: int | None = None
    ) -> np.ndarray:
        """Greedy actions [N, A] of the environments in ``running`` [N] bool; zeros elsewhere.

        Only for these it plans, with the draws that they have where all run.

        Args:
            obs: [N, O].
            step: as in :meth:`act`.

        Raises:
            FloatingPointError: if an action is not finite.
        """
        rows = self._rows(running)
        if len(rows) == len(running):
            return self.act(obs, greedy=True, step=step).action
        agent = self.execution.agent
        states = torch.from_numpy(rows).to(self.warm_start.device)
        noise = agent.draw_plan_noise(len(running), self.generator)
        noise = agent.planner.noise_of_states(noise, states)
        result = self._planned(obs[rows], noise, self.warm_start[:, states], True, step)
        self.warm_start = self.warm_start.index_copy(1, states, result.warm_start)
        action = np.zeros((len(running), agent.spec.action_dim), dtype=np.float32)
        action[rows] = finite_action(result.action)
        return action

    def _rows(self, running: np.ndarray) -> np.ndarray:
        """Environments to plan for: those that run, and others where fewer would be no quicker."""
        execution, total = self.execution, len(running)
        agent, count = execution.agent, int(running.sum())
        planner = agent.planner
        if execution.records or not planner.knows_states:
            count = total  # a graph is for one size
        elif execution.compiled and count > 1:
            whole = planner.granularity(total, agent.world_model.latent_dim)
            count = min(-(-count // whole) * whole, total)
        return np.argsort(~running, kind="stable")[:count]


def finite_action(action: Tensor) -> np.ndarray:
    """The action on the host, float32.

    Raises:
        FloatingPointError: if it is not finite.
    """
    (host,) = transfer.to_host(action)
    return _finite(host)


def _finite(action: np.ndarray) -> np.ndarray:
    if not np.isfinite(action).all():
        raise FloatingPointError(
            f"the agent's action {action.tolist()} is not finite: its parameters have diverged; "
            "lower the learning rate or look at the losses in metrics.csv"
        )
    return action
