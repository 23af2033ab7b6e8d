"""What is exported: the bare policy and the planner, from observations to the robot's own units.

Every program takes the action of its call before, and says which states it refused: ``refused`` is
the index of the first number of the observation that is NaN, infinite or absurd, -1 where there
is none, and O where the last plan is so. For these states the fallback chooses the action.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.deploy.actions import ActionSpace
from mppi_zoo.deploy.fallback import Fallback
from mppi_zoo.deploy.observations import ABSURD


class Outside(nn.Module):
    """The borders of a program: which inputs are usable, actions in the environment's units.

    Args:
        actions: the environment's own.
        fallback: for states whose inputs are not usable.
    """

    def __init__(self, actions: ActionSpace, fallback: Fallback):
        super().__init__()
        self.fallback = fallback
        self.low: Tensor
        self.high: Tensor
        self.zero: Tensor
        for name, value in (("low", actions.low), ("high", actions.high)):
            self.register_buffer(name, torch.from_numpy(value))
        zero = torch.from_numpy(np.clip(0.0, actions.low, actions.high).astype(actions.dtype))
        self.register_buffer("zero", zero)

    def refused(self, obs: Tensor, plan: Tensor | None = None) -> Tensor:
        """obs [B, O], last plan [R, B, A] -> [B] int64, see the module; -1 where all is usable."""
        size = obs.shape[-1]
        places = torch.arange(size, device=obs.device)
        first = torch.where(obs.abs() <= ABSURD, size + 1, places).amin(-1)
        if plan is not None:
            usable = (plan.abs() <= ABSURD).all(-1).all(0)
            first = torch.where(usable, first, first.clamp(max=size))
        return torch.where(first > size, -1, first)

    def native(self, unit: Tensor, usable: Tensor, last: Tensor) -> Tensor:
        """Actions [B, A] in [-1, 1] of usable states [B] in the environment's units, within bounds.

        Args:
            last: [B, A] the actions of the call before; what is outside of the bounds counts as 0.
        """
        span = unit.double().clamp(-1.0, 1.0) + 1.0
        own = self.low + 0.5 * span * (self.high - self.low)
        own = torch.minimum(torch.maximum(own, self.low), self.high).to(self.zero.dtype)
        good = (last >= self.low) & (last <= self.high)
        held = torch.where(good, last.to(self.zero.dtype), self.zero)
        return self.fallback.within_program(usable, own, held, self.zero)


class PolicyProgram(nn.Module):
    """The bare policy's deterministic action.

    Args:
        agent: whose it is.
        outside: its borders.
    """

    def __init__(self, agent: POMPCAgent, outside: Outside):
        super().__init__()
        self.world_model, self.policy, self.outside = agent.world_model, agent.policy, outside

    def forward(self, obs: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """obs [B, O], last action [B, A] -> (action [B, A], refused [B])."""
        refused = self.outside.refused(obs)
        usable = refused < 0
        seen = torch.where(usable.unsqueeze(-1), obs, 0.0)
        action = self.policy.mode(self.world_model.encode(seen))
        return self.outside.native(action, usable, last), refused


class PlannerProgram(nn.Module):
    """The planner with its networks; it acts as the agent does without exploration noise.

    Args:
        execution: of the agent.
        outside: the program's borders.
        draw: (B) -> the draws of a plan; None: the program takes them as inputs.
        record: (tensors) -> the planner's noise record, for inputs.
    """

    def __init__(
        self,
        execution: Execution,
        outside: Outside,
        draw: Callable[[int], Any] | None,
        record: Callable[[Sequence[Tensor]], Any],
    ):
        super().__init__()
        agent = execution.agent
        self.world_model, self.outside = agent.world_model, outside
        self.networks = nn.ModuleList(execution.refreshed_networks())  # what the model below calls
        self.planner, self.model = agent.planner, execution.planning_model()
        self.draw, self.record = draw, record

    def forward(
        self, obs: Tensor, last: Tensor, plan: Tensor, *noise: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """obs [B, O], last action [B, A], last plan [R, B, A] -> (action, plan, refused [B])."""
        refused = self.outside.refused(obs, plan)
        usable = refused < 0
        seen = torch.where(usable.unsqueeze(-1), obs, 0.0)
        before = torch.where(usable.unsqueeze(-1), plan, 0.0)
        draws = self.record(noise) if self.draw is None else self.draw(obs.shape[0])
        # in stages, since these plan for all states together, however many they are
        z = self.world_model.encode(seen)
        *_, made = self.planner.stages(z, self.model, draws, warm_start=before, greedy=True)
        result = made()
        kept = torch.where(usable.unsqueeze(-1), result.warm_start, 0.0)
        return self.outside.native(result.action, usable, last), kept, refused
