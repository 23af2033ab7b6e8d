"""The agent as the planner and the policy's loss see it.

Networks without gradients: a view shares the agent's tensors and so follows every update; a
planner may hold some of them in a shorter format, copied anew before each plan.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mppi_zoo.core.registration import register
from mppi_zoo.networks.critic import CriticQuery, QCritic, VCritic
from mppi_zoo.networks.layers import Dense, EnsembleDense
from mppi_zoo.networks.policy import LogStdBounds, Policy
from mppi_zoo.networks.world_model import WorldModel
from mppi_zoo.planning.base import PlanningModel


class Networks(NamedTuple):
    """What a plan evaluates."""

    world_model: WorldModel
    critic: QCritic | VCritic
    policy: Policy


def frozen_view(networks: Networks, replaced: Mapping[Tensor, Tensor] | None = None) -> Networks:
    """The same networks on the same tensors, asking for no gradient.

    Args:
        replaced: tensors of the view that are others than the networks' own.
    """
    memo: dict[int, object] = {}
    for module in networks:
        for tensor in module.parameters():
            other = tensor.detach() if replaced is None else replaced.get(tensor, tensor.detach())
            memo[id(tensor)] = nn.Parameter(other, requires_grad=False)
        memo |= {id(tensor): tensor for tensor in module.buffers()}
    return copy.deepcopy(networks, memo)


View = Callable[[Networks, LogStdBounds | None], PlanningModel]


@register
def mean_view(networks: Networks, proposal_bounds: LogStdBounds | None) -> PlanningModel:
    """What every published member shows its planner: one model, two critic heads, the policy.

    Args:
        proposal_bounds: log-std bounds of the proposals in place of the policy's own.
    """
    model, critic, policy = networks

    def value(z: Tensor, noise: Tensor, heads: Tensor) -> Tensor:
        return critic.state_value(CriticQuery(z, lambda: policy.act(z, noise), model), heads)

    def values(z: Tensor, noise: Tensor) -> Tensor:
        return critic.state_values(CriticQuery(z, lambda: policy.act(z, noise), model))

    return PlanningModel(
        step=model.step,
        value=value,
        propose=lambda z, noise: policy.act(z, noise, proposal_bounds),
        values=values,
        policy=lambda z: policy.dist(z, proposal_bounds),
    )


@register
class SamePrecision:
    """The planner computes with the numbers that are trained."""

    def __init__(self, networks: Networks):
        self.networks = frozen_view(networks)

    def refresh(self) -> None:
        """Called before each plan: a view needs nothing."""


@register
class BFloat16Hidden:
    """Products of the hidden layers in bfloat16; norms, activations and output layers as trained.

    An approximation: docs/speed.md says what it gains and what it costs. Output layers stay, since
    rounding the logits of rewards and values would move the scores more than the choice of the
    elites bears.
    """

    def __init__(self, networks: Networks):
        hidden = [
            layer
            for module in networks
            for layer in module.modules()
            if isinstance(layer, Dense) or (isinstance(layer, EnsembleDense) and layer.ln)
        ]
        self._trained: list[Tensor] = [p for layer in hidden for p in (layer.weight, layer.bias)]
        self._short = [p.detach().bfloat16() for p in self._trained]
        pairs = zip(self._trained, self._short, strict=True)
        self.networks = frozen_view(networks, dict(pairs))

    @torch.no_grad()
    def refresh(self) -> None:
        """Round the weights that the last update left."""
        torch._foreach_copy_(self._short, self._trained)  # pyright: ignore
