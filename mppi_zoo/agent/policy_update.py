"""How the policy's loss moves its parameters: the update rule, a part of the agent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from mppi_zoo.agent.losses import PolicyTerms
from mppi_zoo.core.optim import ClippedAdam
from mppi_zoo.core.registration import register
from mppi_zoo.objective.kl_objective import KLObjective
from mppi_zoo.objective.kl_weight import Fixed

LARGEST = 1e4  # of an implied lambda in the log, which holds finite numbers only


class PolicyUpdate(Protocol):
    """A rule; one that needs both gradients differentiates ``terms.gain`` and ``terms.cost``."""

    def check(self, objective: KLObjective) -> None:
        """Refuse an objective that the rule has no meaning with, by a ValueError."""
        ...

    def step(self, terms: PolicyTerms, optimizer: ClippedAdam) -> dict[str, Tensor]:
        """Move the optimiser's parameters once; returns metrics, 0-d each."""
        ...


@register
class WeightedSum:
    """One backward pass through gain and cost together, as lambda weighs them."""

    def check(self, objective: KLObjective) -> None:
        """Every objective fits."""

    def step(self, terms: PolicyTerms, optimizer: ClippedAdam) -> dict[str, Tensor]:
        """See :class:`PolicyUpdate`."""
        return {"policy_grad_norm": optimizer.step(terms.loss)}


class Shortest(NamedTuple):
    """The shortest vector of the segment between two: c of one and 1 - c of the other."""

    vector: Tensor  # [P]
    c: Tensor  # 0-d


def shortest(one: Tensor, other: Tensor) -> Shortest:
    """The shortest vector c one + (1 - c) other with c in [0, 1], for vectors [P].

    c = clip(<other - one, other>/|one - other|^2, 0, 1), and 1/2 where the two are equal. Its inner
    product with each of them is at least its own squared length (docs/method.md, section 8.2).
    """
    difference = other - one
    squared = difference.dot(difference)
    c = torch.where(squared > 0, difference.dot(other) / squared, 0.5).clamp(0, 1)
    return Shortest(c * one + (1 - c) * other, c)


GradientScale = Callable[[Tensor], Tensor]


@register
def raw_gradient(gradient: Tensor) -> Tensor:
    """Factor on a gradient [P], 0-d: 1."""
    return torch.ones_like(gradient[0])


@register
def unit_gradient(gradient: Tensor) -> Tensor:
    """Factor on a gradient [P], 0-d: one over its norm. The shortest vector then bisects."""
    return 1 / gradient.norm().clamp(min=1e-12)


@register
class MinNorm:
    """Lambda from the gradients: step along the shortest vector between the two of the losses.

    With g_R the gradient of the return-and-entropy loss and g_K that of the KL loss, g = c g_R +
    (1 - c) g_K: neither loss rises to first order. In the spirit of HDPI (ICML 2026), whose
    abstract speaks of the worst-case inner product of the two gradients; the rule is ours
    (docs/method.md, section 8.2). The objective's lambda is a factor on the KL loss; leave it 1.

    Args:
        scale: of each gradient beforehand, :func:`raw_gradient` or :func:`unit_gradient`.
    """

    def __init__(self, scale: GradientScale = raw_gradient):
        self.scale = scale

    def check(self, objective: KLObjective) -> None:
        """See :class:`PolicyUpdate`.

        Raises:
            ValueError: lambda is 0 or infinite, so that one of the losses is missing.
        """
        lam = objective.lam
        if not lam.uses_return or (isinstance(lam, Fixed) and lam.exact == 0):
            raise ValueError(
                "MinNorm chooses lambda itself, from the gradients of both losses, and needs both; "
                "set KLObjective.lam = 1.0 instead of 0 or infinity, or POMPCAgent.policy_update "
                "= @WeightedSum()"
            )

    def step(self, terms: PolicyTerms, optimizer: ClippedAdam) -> dict[str, Tensor]:
        """See :class:`PolicyUpdate`.

        The metrics: c, and lambda = (1 - c)/c (in units of the unscaled losses), at most 1e4.
        """
        gain = _flat(torch.autograd.grad(terms.gain, optimizer.params, retain_graph=True))
        cost = _flat(torch.autograd.grad(terms.cost, optimizer.params))
        factors = self.scale(gain), self.scale(cost)
        found = shortest(-factors[0] * gain, factors[1] * cost)
        norm = optimizer.step_along(_like(found.vector, optimizer.params))
        lam = (1 - found.c) * factors[1] / (found.c * factors[0])
        return {
            "policy_grad_norm": norm,
            "min_norm_c": found.c,
            "implied_lam": lam.clamp(max=LARGEST),
        }


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])


def _like(vector: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    """A vector [P] cut into pieces of the tensors' shapes."""
    pieces = vector.split([tensor.numel() for tensor in tensors])
    return [piece.view_as(tensor) for piece, tensor in zip(pieces, tensors, strict=True)]
