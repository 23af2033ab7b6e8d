"""Actor: the planner (or the bare policy) between NumPy observations and actions."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mppi_zoo.agent import POMPCAgent
from mppi_zoo.base import PlanResult


class Actor:
    """Plans for N environments at once and owns their warm starts.

    Args:
        agent: who plans.
        num_envs: N.
        generator: source of the plans' noise, on the agent's device.
    """

    def __init__(self, agent: POMPCAgent, num_envs: int, generator: torch.Generator):
        self.agent, self.generator = agent, generator
        shape = (agent.planner.horizon, num_envs, agent.spec.action_dim)
        self.warm_start = torch.zeros(shape, dtype=agent.dtype, device=agent.device)

    def reset(self, mask: np.ndarray | None = None) -> None:
        """Forget the plans of the environments in mask [N] bool whose episodes begin; None: all."""
        if mask is None:
            self.warm_start.zero_()
        else:
            self.warm_start[:, torch.from_numpy(mask).to(self.warm_start.device)] = 0

    def act(self, obs: np.ndarray, *, greedy: bool) -> tuple[np.ndarray, PlanResult]:
        """Actions [N, A] in [-1, 1] for observations [N, O], and the plan behind them.

        Raises:
            FloatingPointError: if an action is not finite.
        """
        noise = self.agent.draw_plan_noise(obs.shape[0], self.generator)
        result = self.agent.act(
            self.agent.tensor(obs), noise, warm_start=self.warm_start, greedy=greedy
        )
        self.warm_start = result.mean
        return finite_action(result.action), result


def finite_action(action: Tensor) -> np.ndarray:
    """The action on the host, float32: the one transfer of an environment step.

    Raises:
        FloatingPointError: if it is not finite.
    """
    host = action.float().cpu().numpy()
    if not np.isfinite(host).all():
        raise FloatingPointError(
            f"the agent's action {host.tolist()} is not finite: its parameters have diverged; "
            "lower the learning rate or look at the losses in metrics.csv"
        )
    return host
