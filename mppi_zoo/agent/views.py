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

from mppi_zoo.core.ranges import NonNegative
from mppi_zoo.core.registration import register
from mppi_zoo.core.types import Step
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


def _at(networks: Networks, z: Tensor, noise: Tensor) -> CriticQuery:
    """The critic's question at latents z [..., Z], with the policy's action by noise [..., A]."""
    model, _, policy = networks
    return CriticQuery(z, lambda: policy.act(z, noise), model)


@register
def mean_view(networks: Networks, proposal_bounds: LogStdBounds | None) -> PlanningModel:
    """What most members show their planner: one model, two critic heads, the policy.

    Of an ensemble of dynamics each candidate sees one head: they take turns, candidate n by head
    n mod D (ours, the cheaper use of an ensemble).

    Args:
        proposal_bounds: log-std bounds of the proposals in place of the policy's own.
    """
    model, critic, policy = networks

    def value(z: Tensor, noise: Tensor, heads: Tensor) -> Tensor:
        return critic.state_value(_at(networks, z, noise), heads)

    def values(z: Tensor, noise: Tensor) -> Tensor:
        return critic.state_values(_at(networks, z, noise))

    return PlanningModel(
        step=model.step,
        value=value,
        propose=lambda z, noise: policy.act(z, noise, proposal_bounds),
        values=values,
        policy=lambda z: policy.dist(z, proposal_bounds),
    )


@register
def all_heads_view(networks: Networks, proposal_bounds: LogStdBounds | None) -> PlanningModel:
    """Every dynamics head follows every candidate, each by itself.

    The policy proposes at the mean of the heads' latents, so that a proposal is one sequence. For
    scorings that start where the model says, such as
    :class:`~mppi_zoo.planning.depth_average.DepthAverage`. Source: docs/method.md, section 8.
    """
    model, plain = networks.world_model, mean_view(networks, proposal_bounds)

    def step(z: Tensor, action: Tensor) -> Step:
        if z.ndim != action.ndim + model.dynamics.axes:
            raise ValueError(
                f"latents of shape {tuple(z.shape)} with actions of shape {tuple(action.shape)}: "
                "all_heads_view expects an axis of dynamics heads in front of the latents; use "
                "MPPIPlanner.scoring = @DepthAverage(), or POMPCAgent.view = @mean_view"
            )
        return model.step_each(z, action)

    return plain._replace(
        step=step,
        propose=lambda z, noise: plain.propose(model.mean_over_heads(z), noise),
        start=model.spread,
    )


@register
def pessimistic_view(
    networks: Networks,
    proposal_bounds: LogStdBounds | None,
    view: View = all_heads_view,
    coefficient: NonNegative = 1.0,
) -> PlanningModel:
    """Another view, but a candidate pays for the disagreement of the estimates of its return.

    G = mean - beta std, both over dynamics heads and depths; the std divides by their number, so
    that of a single estimate it is 0. Source: EfficientTDMPC, arXiv 2605.16692.

    Args:
        view: the other view.
        coefficient: beta; 0 gives that view's scores.
    """

    def combine(estimates: Tensor) -> Tensor:
        return estimates.mean(0) - coefficient * estimates.std(0, correction=0)

    return view(networks, proposal_bounds)._replace(combine=combine)


@register
def all_critics_view(
    networks: Networks, proposal_bounds: LogStdBounds | None, view: View = mean_view
) -> PlanningModel:
    """Another view, but the terminal value is the mean over all critic heads, not over two.

    Source: the programs of PO-MPC's author (docs/method.md, section 8.5).

    Args:
        view: the other view.
    """

    def value(z: Tensor, noise: Tensor, heads: Tensor) -> Tensor:
        return networks.critic.state_values(_at(networks, z, noise)).mean(0)

    return view(networks, proposal_bounds)._replace(value=value)


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
