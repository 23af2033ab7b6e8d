"""Actor: the planner (or the bare policy) between NumPy observations and actions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

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
        shape = (agent.planner.horizon, num_envs, agent.spec.action_dim)
        self.warm_start = torch.zeros(shape, dtype=agent.dtype, device=agent.device)

    def reset(self, mask: np.ndarray | None = None) -> None:
        """Forget the plans of the environments in mask [N] bool whose episodes begin; None: all."""
        if mask is None:
            self.warm_start.zero_()
        else:
            begins = transfer.to_device(mask, self.warm_start.device)
            self.warm_start.masked_fill_(begins[:, None], 0.0)

    def act(self, obs: np.ndarray, *, greedy: bool, flag: Tensor | None = None) -> Acted:
        """Plan for observations [N, O].

        Args:
            greedy: without exploration noise.
            flag: 0-d, to be looked at by the caller: it comes to the host with the action.

        Raises:
            FloatingPointError: if an action is not finite.
        """
        agent = self.execution.agent
        noise = agent.draw_plan_noise(obs.shape[0], self.generator)
        result = self.execution.act(
            agent.tensor(obs), noise, warm_start=self.warm_start, greedy=greedy
        )
        self.warm_start = result.mean
        flags = () if flag is None else (flag,)
        action, mean, std, *told = transfer.to_host(result.action, *result.dist, *flags)
        plan = Gaussian(torch.from_numpy(mean), torch.from_numpy(std))
        return Acted(_finite(action), result, plan, all(bool(value) for value in told))


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
