"""What every planner is: it draws its own noise, plans, and says what it measures of itself.

A planner is stateless and batched. It sees a few functions of an agent (:class:`PlanningModel`)
and never a network, so that an ensemble or a penalty is another model, not another planner.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mppi_zoo.core.types import Gaussian, Step


def itself(z: Tensor) -> Tensor:
    """Latents as they are: where a model of one dynamics network starts."""
    return z


def mean_estimate(estimates: Tensor) -> Tensor:
    """The mean over estimates [V, B, N] of the same sequences' returns: [B, N]."""
    return estimates.mean(0)


class PlanningModel(NamedTuple):
    """All that a planner sees of an agent.

    Attributes:
        step: (z [..., Z], action [..., A]) -> Step; z may also be [B, 1, Z] for actions [B, n, A]
            that all start there.
        value: (z [B, N, Z], noise [B, N, A], heads [2]) -> terminal value [B, N].
        propose: (z [B, P, Z] or [B, 1, Z], noise [B, P, A]) -> action [B, P, A] in [-1, 1].
        values: (z [..., Z], noise [..., A]) -> terminal value of each critic head, [E, ...]; None:
            not offered.
        policy: (z [..., Z]) -> the policy's Gaussian there, [..., A]; None: not offered.
        start: (z [B, 1, Z]) -> where ``step`` starts. Where each of D dynamics heads follows every
            sequence, latents have an axis of heads in front from there on, [1 or D, B, n, Z].
        combine: (estimates [V, B, N]) -> score [B, N] of scorings that make several of a sequence.
    """

    step: Callable[[Tensor, Tensor], Step]
    value: Callable[[Tensor, Tensor, Tensor], Tensor]
    propose: Callable[[Tensor, Tensor], Tensor]
    values: Callable[[Tensor, Tensor], Tensor] | None = None
    policy: Callable[[Tensor], Gaussian] | None = None
    start: Callable[[Tensor], Tensor] = itself
    combine: Callable[[Tensor], Tensor] = mean_estimate


class PlanResult(NamedTuple):
    """What one call of a planner returns."""

    action: Tensor  # [B, A] to be executed, in [-1, 1]
    dist: Gaussian  # [B, A] the planner's distribution of the first action, P in docs/method.md
    value: Tensor  # [B] score of the plan
    mean: Tensor  # [H, B, A] the plan
    memory: Tensor | None = None  # [R, B, A] the next warm start; None: the plan

    @property
    def warm_start(self) -> Tensor:
        """[R, B, A] what the next call starts from."""
        return self.mean if self.memory is None else self.memory


class Planner(abc.ABC):
    """Base of all planners.

    Attributes:
        horizon: H, steps that a plan looks ahead; also the length of the training windows.
        samples: sequences that are scored together for one state; the number of threads follows
            from it.
        warm_rows: R, rows of a warm start: the plan's H, then whatever else the planner keeps.
        reads_step: whether :meth:`plan` depends on the agent step.
        differentiates: whether a plan takes gradients, which exported programs cannot.
        compiled: whether compiled code is in use.
    """

    horizon: int
    samples: int = 1
    reads_step: bool = False
    differentiates: bool = False
    compiled: bool = False

    @property
    def knows_states(self) -> bool:
        """Whether it has :meth:`noise_of_states`."""
        return type(self).noise_of_states is not Planner.noise_of_states

    @property
    def warm_rows(self) -> int:
        """R; H where nothing but the plan is kept."""
        return self.horizon

    @abc.abstractmethod
    def draw_noise(
        self,
        batch: int,
        action_dim: int,
        heads: int,
        generator: torch.Generator | None,
        dtype: torch.dtype = torch.float32,
    ) -> Any:
        """Every draw of one plan for ``batch`` states: a (named) tuple of tensors.

        Args:
            heads: E, critic heads from which the terminal value may be drawn.
            generator: the source; torch's own where None.
        """

    @abc.abstractmethod
    def plan(
        self,
        z: Tensor,
        model: PlanningModel,
        noise: Any,
        *,
        warm_start: Tensor | None = None,
        greedy: bool = False,
        step: Tensor | None = None,
    ) -> PlanResult:
        """Plan from latents z [B, Z]; a function of its arguments alone.

        Args:
            noise: from :meth:`draw_noise`.
            warm_start: [R, B, A] the ``warm_start`` of the previous result; None or zeros at the
                first step of an episode.
            greedy: leave out the exploration noise (evaluation, re-analysis).
            step: 0-d, agent steps taken so far; None where no training is under way.
        """

    def stages(
        self,
        z: Tensor,
        model: PlanningModel,
        noise: Any,
        *,
        warm_start: Tensor | None = None,
        greedy: bool = False,
        step: Tensor | None = None,
    ) -> Iterator[Callable[[], PlanResult]]:
        """The plan of :meth:`plan`, stage by stage, for those who may have to stop before its end.

        After each stage comes what gives the plan so far; the last gives that of :meth:`plan`. All
        states are planned together. A planner that cannot be interrupted has one stage.
        """
        result = self.plan(z, model, noise, warm_start=warm_start, greedy=greedy, step=step)
        yield lambda: result

    def noise_of_states(self, noise: Any, states: Tensor) -> Any:
        """The draws of some of the states, numbered in ``states`` [b] int64.

        For a planner without it all states are planned, also those that nobody needs.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot pick the draws of some states")

    def granularity(self, batch: int, latent_dim: int) -> int:
        """Fewer states than a multiple of so many take no less time, in a batch of ``batch``."""
        return 1

    def examine(
        self, z: Tensor, model: PlanningModel, noise: Any
    ) -> tuple[PlanResult, dict[str, Tensor]]:
        """A greedy plan from z [B, Z], and the planner's own metrics of it, 0-d each."""
        return self.plan(z, model, noise, greedy=True), {}

    def compile(self, device: torch.device) -> None:
        """Compile with ``torch.compile`` what a plan on a device consists of; here nothing is."""
        self.compiled = False

    def uncompile(self) -> None:
        """Back to eager execution."""
        self.compiled = False
