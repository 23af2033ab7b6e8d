"""How the policy's loss moves its parameters: the update rule, a part of the agent."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from mppi_zoo.agent.losses import PolicyTerms
from mppi_zoo.core.optim import ClippedAdam
from mppi_zoo.core.registration import register


class PolicyUpdate(Protocol):
    """A rule; one that needs both gradients differentiates ``terms.gain`` and ``terms.cost``."""

    def step(self, terms: PolicyTerms, optimizer: ClippedAdam) -> dict[str, Tensor]:
        """Move the optimiser's parameters once; returns metrics, 0-d each."""
        ...


@register
class WeightedSum:
    """One backward pass through gain and cost together, as lambda weighs them."""

    def step(self, terms: PolicyTerms, optimizer: ClippedAdam) -> dict[str, Tensor]:
        """See :class:`PolicyUpdate`."""
        return {"policy_grad_norm": optimizer.step(terms.loss)}
