"""lambda: what weighs the divergence against the return (docs/method.md, section 5).

A number, :class:`Infinite`, a schedule, or an object that adapts it. Each answers
``weights(step) -> (w_R, w_KL)`` as 0-d tensors, so that a change of value never recompiles.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mppi_zoo.core.ranges import Count, NonNegative, Positive, PositiveInt
from mppi_zoo.core.registration import register

LamWeights = tuple[Tensor, Tensor]  # (w_R, w_KL), 0-d each


class KLWeight(nn.Module):
    """Base: (w_R, w_KL) = (1, lambda) for a finite lambda.

    Attributes:
        uses_return: whether the return counts at all; without it the critic is not evaluated.
    """

    uses_return = True

    def __init__(self) -> None:
        super().__init__()
        self.one: Tensor
        self.register_buffer("one", torch.ones(()), persistent=False)

    def bind(self, action_dim: int) -> None:
        """Called once with the action size A, before the first use."""

    def lam(self, step: int) -> Tensor:
        """lambda at an agent step, 0-d."""
        raise TypeError(f"{type(self).__name__} defines no finite lambda")

    def weights(self, step: int, pretraining: bool = False) -> LamWeights:
        """(w_R, w_KL) at an agent step, in an update of the pretraining or after it."""
        return self.one, self.lam(step)

    def adapt(self, divergence: Tensor) -> None:
        """Learn from the batch mean of the raw divergence, 0-d, after each policy step.

        Operations on tensors only, in place: an update may run as a CUDA graph, which repeats those
        and no Python.
        """


@register
class Fixed(KLWeight):
    """A constant lambda in [0, inf)."""

    def __init__(self, value: NonNegative):
        super().__init__()
        self.exact = float(value)
        self.value: Tensor
        self.register_buffer("value", torch.tensor(self.exact), persistent=False)

    def bind(self, action_dim: int) -> None:
        self.value.fill_(self.exact)  # again, in the precision that the agent gave the buffer

    def lam(self, step: int) -> Tensor:
        return self.value


@register
class Infinite(KLWeight):
    """lambda = infinity: (w_R, w_KL) = (0, 1); the policy only imitates its prior (BMPC)."""

    uses_return = False

    def weights(self, step: int, pretraining: bool = False) -> LamWeights:
        return torch.zeros_like(self.one), self.one


@register
class ActionScaled(KLWeight):
    """lambda = scale * A: TD-M(PC)^2 has scale 1/61, BOOM 1/50.

    Args:
        scale: factor of the action dimension.
        medium_scale: replaces ``scale`` where low <= A <= high (BOOM: 1/1000 for 24 .. 48).
    """

    def __init__(
        self,
        scale: NonNegative,
        medium_scale: NonNegative | None = None,
        low: Count = 24,
        high: Count = 48,
    ):
        super().__init__()
        self.scale = scale
        self.medium_scale = scale if medium_scale is None else medium_scale
        self.low, self.high = low, high
        self.value: Tensor
        self.register_buffer("value", torch.zeros(()), persistent=False)

    def bind(self, action_dim: int) -> None:
        medium = self.low <= action_dim <= self.high
        self.value.fill_((self.medium_scale if medium else self.scale) * action_dim)

    def lam(self, step: int) -> Tensor:
        return self.value


class Schedule(KLWeight):
    """lambda from ``start`` to ``end`` over ``steps`` agent steps, then constant."""

    def __init__(self, start: NonNegative, end: NonNegative, steps: PositiveInt):
        super().__init__()
        self.start, self.end, self.steps = start, end, steps

    def share(self, progress: float) -> float:
        """The share of ``end`` at a progress in [0, 1]."""
        return progress

    def lam(self, step: int) -> Tensor:
        share = self.share(min(max(step / self.steps, 0.0), 1.0))
        return self.one * (self.start + share * (self.end - self.start))


@register
class Linear(Schedule):
    """Linear in agent steps."""


@register
class Cosine(Schedule):
    """Half a cosine wave in agent steps: flat at both ends."""

    def share(self, progress: float) -> float:
        return 0.5 * (1 - math.cos(math.pi * progress))


@register
class Phases(KLWeight):
    """One lambda in pretraining, another in training (Newt: 10 and 1)."""

    def __init__(self, pretraining: NonNegative, training: NonNegative):
        super().__init__()
        self.in_pretraining, self.in_training = pretraining, training

    def lam(self, step: int) -> Tensor:
        return self.one * self.in_training

    def weights(self, step: int, pretraining: bool = False) -> LamWeights:
        return self.one, self.one * self.in_pretraining if pretraining else self.lam(step)


@register
class KLBudget(KLWeight):
    """lambda = exp(eta), a dual variable that holds the batch mean of the raw D at ``target``.

    eta <- clip(eta + lr (mean D - target), ln 1e-4, ln 1e4). ``target`` is in D's own units:
    0.5 suits a divergence averaged over action dimensions; multiply by A for a sum.
    """

    def __init__(self, target: Positive = 0.5, initial: Positive = 1.0, lr: Positive = 1e-3):
        super().__init__()
        self.target, self.lr = target, lr
        self.bounds = (math.log(1e-4), math.log(1e4))
        self.log_lam: Tensor
        self.register_buffer("log_lam", torch.tensor(math.log(initial)))

    def lam(self, step: int) -> Tensor:
        return self.log_lam.exp()

    @torch.no_grad()
    def adapt(self, divergence: Tensor) -> None:
        self.log_lam.add_(self.lr * (divergence - self.target)).clamp_(*self.bounds)


def as_kl_weight(lam: float | KLWeight) -> KLWeight:
    """A number becomes :class:`Fixed`, ``math.inf`` :class:`Infinite`; objects pass through."""
    if isinstance(lam, KLWeight):
        return lam
    return Infinite() if lam == math.inf else Fixed(lam)
