"""MPPI over the latent model: a pure, stateless, batched function (docs/method.md, section 4).

Acting in one environment, acting in many, evaluation and re-analysis are the same call; the warm
start goes in and comes back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mppi_zoo.core.ranges import Count, NonNegative, Positive, PositiveInt, Size, SizeOrNone
from mppi_zoo.core.registration import register
from mppi_zoo.core.types import Gaussian
from mppi_zoo.planning.base import Planner, PlanningModel, PlanResult
from mppi_zoo.planning.mppi_noise import (
    MPPINoise,
    draw_mppi_noise,
    noise_of_states,
    of_iterations,
)
from mppi_zoo.planning.scoring import ScoreNoise, Scoring, TerminalReturn


class PlanIteration(NamedTuple):
    """What one iteration saw and decided."""

    actions: Tensor  # [H, B, N, A] the candidates
    value: Tensor  # [B, N] their scores
    elites: Tensor  # [B, K] int64, best first
    weights: Tensor  # [B, K] sum to 1
    mean: Tensor  # [H, B, A] after the iteration
    std: Tensor  # [H, B, A]
    elite_value: Tensor  # [B, K]
    elite_actions: Tensor  # [H, B, K, A]


@register
class MPPIPlanner(Planner):
    """Model predictive path integral control with policy proposals.

    Args:
        horizon: H, steps.
        iterations: J.
        wide_action_dim: from this action size on, ``wide_extra`` iterations are added.
        wide_extra: 2 in TD-MPC2 and its successors.
        samples: N.
        elites: K, at most N.
        policy_samples: P, of the N.
        temperature: multiplies the score differences in the elites' weights.
        min_std, max_std: bounds of the sampling distribution's std; it starts at ``max_std``.
        scoring: how candidates are scored; None: :class:`TerminalReturn`.
        cached_numbers: on a CPU a batch is planned in pieces of as many states (one at least) as
            have at most so many numbers in their sequences' latents, to stay in the cache.

    Raises:
        ValueError: for sizes that do not fit together.
    """

    knows_states = True

    def __init__(
        self,
        horizon: Size = 3,
        iterations: Size = 6,
        wide_action_dim: Count = 20,
        wide_extra: SizeOrNone = 2,
        samples: Size = 512,
        elites: Size = 64,
        policy_samples: SizeOrNone = 24,
        temperature: NonNegative = 0.5,
        min_std: Positive = 0.05,
        max_std: Positive = 2.0,
        scoring: Scoring | None = None,
        cached_numbers: PositiveInt = 2**19,
    ):
        if elites > samples:
            raise ValueError(f"MPPIPlanner: elites = {elites}, expected 1 .. samples = {samples}")
        if policy_samples >= samples:
            raise ValueError(
                f"MPPIPlanner: policy_samples = {policy_samples}, expected 0 .. samples - 1 = "
                f"{samples - 1}"
            )
        if min_std > max_std:
            raise ValueError(f"MPPIPlanner: expected 0 < min_std {min_std} <= max_std {max_std}")
        self.horizon, self.samples, self.elites = horizon, samples, elites
        self.policy_samples, self.temperature = policy_samples, temperature
        self.min_std, self.max_std = min_std, max_std
        self.base_iterations, self.wide_action_dim = iterations, wide_action_dim
        self.wide_extra, self.cached_numbers = wide_extra, cached_numbers
        self.scoring = scoring or TerminalReturn()
        self.uncompile()

    def compile(self) -> None:
        """Compile the two functions that a plan consists of; the loop around them stays."""
        self._propose = torch.compile(self.scoring.propose, dynamic=False)
        self._iterate = torch.compile(self.iterate, dynamic=False)
        self.compiled = True

    def uncompile(self) -> None:
        """Back to eager execution."""
        self._propose, self._iterate = self.scoring.propose, self.iterate
        self.compiled = False

    def iterations(self, action_dim: int) -> int:
        """J for an action size."""
        return self.base_iterations + self.wide_extra * (action_dim >= self.wide_action_dim)

    def draw_noise(
        self,
        batch: int,
        action_dim: int,
        heads: int,
        generator: torch.Generator | None,
        dtype: torch.dtype = torch.float32,
    ) -> MPPINoise:
        """Every draw of one plan for ``batch`` states; from torch's own generator where None."""
        return draw_mppi_noise(
            horizon=self.horizon,
            batch=batch,
            samples=self.samples,
            policy_samples=self.policy_samples,
            elites=self.elites,
            iterations=self.iterations(action_dim),
            action_dim=action_dim,
            heads=heads,
            along=self.scoring.draws_along(self.horizon),
            generator=generator,
            dtype=dtype,
        )

    def iterate(
        self,
        model: PlanningModel,
        z: Tensor,
        proposals: Tensor,
        proposed: Any,
        mean: Tensor,
        std: Tensor,
        draws: tuple[Tensor, ScoreNoise],
    ) -> PlanIteration:
        """Draw candidates, score them, move the sampling distribution to the elites.

        Args:
            z: [B, 1, Z]; mean, std: [H, B, A].
            proposals, proposed: what :meth:`Scoring.propose` returned.
            draws: candidates [H, B, N-P, A] of this iteration, and of their scores.
        """
        # candidates: the policy's proposals and draws around the mean
        epsilon, score_noise = draws
        drawn = torch.addcmul(mean.unsqueeze(2), std.unsqueeze(2), epsilon).clamp_(-1, 1)
        actions = torch.cat([proposals, drawn], 2)
        value = self.scoring.score(model, z, drawn, proposed, score_noise)
        # elites and their weights
        elite_value, elites = value.topk(self.elites, dim=1)
        index = elites[None, :, :, None].expand(*actions.shape[:2], -1, actions.shape[-1])
        elite_actions = actions.gather(2, index)
        weights = torch.softmax(self.temperature * elite_value, 1)
        scale = 1 / (weights.sum(1) + 1e-9)
        scale = scale[None, :, None]
        spread = weights[None, :, :, None]
        # the sampling distribution moves to the elites' moments
        mean = (spread * elite_actions).sum(2) * scale
        variance = (spread * (elite_actions - mean.unsqueeze(2)).square()).sum(2) * scale
        std = variance.sqrt().clamp(self.min_std, self.max_std)
        return PlanIteration(actions, value, elites, weights, mean, std, elite_value, elite_actions)

    @torch.no_grad()
    def plan(
        self,
        z: Tensor,
        model: PlanningModel,
        noise: MPPINoise,
        *,
        warm_start: Tensor | None = None,
        greedy: bool = False,
        on_iteration: Callable[[PlanIteration], None] | None = None,
    ) -> PlanResult:
        """Plan from latents z [B, Z].

        Args:
            noise: every draw, from :meth:`draw_noise`.
            warm_start: [H, B, A] the ``mean`` of the previous result; None or zeros at the first
                step of an episode.
            greedy: leave out the exploration noise (evaluation, re-analysis).
            on_iteration: called with each :class:`PlanIteration`; a plan that is watched is not
                cut into pieces.
        """
        batch, action_dim = z.shape[0], noise.action.shape[-1]
        # warm start: the previous plan, shifted by a step
        start = z.new_zeros(self.horizon, batch, action_dim)
        if warm_start is not None:
            start[:-1] = warm_start[1:]
        # optimise the plans, piece by piece
        if batch == 1 or on_iteration is not None or z.device.type != "cpu":
            result = self._plan_piece(z, model, noise, start, on_iteration)
        else:
            pieces = [
                self._plan_piece(z[rows], model, self.noise_of_states(noise, rows), start[:, rows])
                for rows in self._pieces(*z.shape)
            ]
            parts = zip(*pieces, strict=True)
            result = [torch.cat(part, -2).narrow(-2, 0, batch) for part in parts]
        picked, std, value, mean = result
        # act: the picked elite's first action, with exploration noise unless greedy
        action = picked if greedy else (picked + std * noise.action).clamp(-1, 1)
        return PlanResult(action, Gaussian(picked, std), value.squeeze(-1), mean)

    def examine(
        self, z: Tensor, model: PlanningModel, noise: MPPINoise
    ) -> tuple[PlanResult, dict[str, Tensor]]:
        """A greedy plan from z [B, Z], and what its last elites have in common.

        ``elite_agreement`` is 1 - the weighted variance of the elites' first actions,
        ``elite_policy_share`` the weight of the policy's proposals among the elites.
        """
        last: deque[PlanIteration] = deque(maxlen=1)  # the candidates of all would be large
        result = self.plan(z, model, noise, greedy=True, on_iteration=last.append)
        iteration = last[0]
        first, weights = iteration.elite_actions[0], iteration.weights.unsqueeze(-1)
        mean = (weights * first).sum(1, keepdim=True)
        variance = (weights * (first - mean).square()).sum(1)
        proposed = iteration.elites < self.policy_samples
        return result, {
            "elite_agreement": 1 - variance.mean(),
            "elite_policy_share": (iteration.weights * proposed).sum(1).mean(),
        }

    def noise_of_states(self, noise: MPPINoise, states: Tensor) -> MPPINoise:
        """The draws of some of the states, numbered in ``states`` [b] int64."""
        return noise_of_states(noise, states)

    def granularity(self, batch: int, latent_dim: int) -> int:
        """Fewer states than a multiple of so many take no less time, in a batch of ``batch``."""
        full = self._full_piece(latent_dim)
        return full if self.compiled and batch > full // 2 else 1

    def _full_piece(self, latent_dim: int) -> int:
        """States that are planned together at most."""
        return max(1, self.cached_numbers // (self.samples * latent_dim))

    def _pieces(self, batch: int, latent_dim: int) -> list[Tensor]:
        """Numbers of the states in each piece of a batch."""
        full, end = self._full_piece(latent_dim), batch
        if self.compiled and batch % full > full // 2:
            end = -(-batch // full) * full  # what the last one lacks, states planned already fill
        return list((torch.arange(end) % batch).split(full))

    def _is_compiled_for(self, z: Tensor) -> bool:
        """Whether the states in z [b, 1, Z] are one or a whole piece.

        Compiled code is for one size, and each size takes a minute to compile. In between, where
        products are large beside the calls, it would gain a tenth.
        """
        sizes = (1, self._full_piece(z.shape[-1]))
        return z.device.type != "cpu" or z.shape[0] in sizes

    def _plan_piece(
        self,
        z: Tensor,
        model: PlanningModel,
        noise: MPPINoise,
        mean: Tensor,
        on_iteration: Callable[[PlanIteration], None] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Picked action [b, A], std [b, A], value [b, 1] and plan [H, b, A] of a piece."""
        # sample policy trajectories, once for all iterations
        std = torch.full_like(mean, self.max_std)
        z = z.unsqueeze(1)
        propose, iterate = self._propose, self._iterate
        if on_iteration is not None or not self._is_compiled_for(z):
            propose, iterate = self.scoring.propose, self.iterate
        proposals, proposed = propose(model, z, noise.policy)
        # iterate
        for draws in of_iterations(noise):
            last = iterate(model, z, proposals, proposed, mean, std, draws)
            mean, std = last.mean, last.std
            if on_iteration is not None:
                on_iteration(last)
        # pick an elite by its weight (Gumbel-max)
        pick = (torch.log(last.weights) - torch.log(noise.pick)).argmax(1, keepdim=True)
        first = last.elite_actions[0].take_along_dim(pick.unsqueeze(-1), 1).squeeze(1)
        return first, std[0], last.elite_value.gather(1, pick), mean
