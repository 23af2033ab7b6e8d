"""MPPI over the latent model: a pure, stateless, batched function (docs/method.md, section 4).

Acting, evaluation and re-analysis are the same call; the warm start goes in and comes back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from mppi_zoo.compute.compilation import compiled
from mppi_zoo.core.ranges import Count, NonNegative, Positive, PositiveInt, Size, SizeOrNone
from mppi_zoo.core.registration import register
from mppi_zoo.planning.base import Planner, PlanningModel, PlanResult
from mppi_zoo.planning.candidates import (
    CandidateNoise,
    Population,
    check_sizes,
    constant_population,
    white_noise,
)
from mppi_zoo.planning.elites import (
    Choice,
    EliteMemory,
    PlanIteration,
    Report,
    agreement,
    draw_by_weight,
    picked_with_final_std,
    result_of,
    with_kept,
)
from mppi_zoo.planning.mppi_noise import MPPINoise, draw_mppi_noise, noise_of_states, of_iterations
from mppi_zoo.planning.pieces import full_piece, joined, pieces
from mppi_zoo.planning.scoring import ScoreNoise, Scoring, TerminalReturn
from mppi_zoo.planning.start import ShiftedPlan, Start


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
        temperature: multiplies the score differences in the elites' weights; 0 weighs all elites
            alike, which is the cross-entropy method (CEM).
        min_std, max_std: bounds of the sampling distribution's std.
        scoring: how candidates are scored; None: :class:`TerminalReturn`.
        start: where the sampling distribution starts; None: :class:`ShiftedPlan`.
        candidate_noise: colours the candidates' draws.
        population: (iteration, N, K) -> candidates of that iteration, at most N.
        memory: which elites join the next candidates; None: none do.
        choice: which elite is executed.
        report: the distribution of the first action that the plan reports.
        cached_numbers: on a CPU a batch is planned in pieces of as many states (one at least) as
            have at most so many numbers in their sequences' latents, to stay in the cache.

    Raises:
        ValueError: for sizes that do not fit together.
    """

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
        min_std: NonNegative = 0.05,
        max_std: Positive = 2.0,
        scoring: Scoring | None = None,
        start: Start | None = None,
        candidate_noise: CandidateNoise = white_noise,
        population: Population = constant_population,
        memory: EliteMemory | None = None,
        choice: Choice = draw_by_weight,
        report: Report = picked_with_final_std,
        cached_numbers: PositiveInt = 2**19,
    ):
        self.horizon, self.samples, self.elites = horizon, samples, elites
        self.policy_samples, self.temperature = policy_samples, temperature
        self.min_std, self.max_std = min_std, max_std
        self.base_iterations, self.wide_action_dim = iterations, wide_action_dim
        self.wide_extra, self.cached_numbers = wide_extra, cached_numbers
        self.scoring, self.start = scoring or TerminalReturn(), start or ShiftedPlan()
        self.candidate_noise, self.population = candidate_noise, population
        self.memory, self.choice, self.report = memory or EliteMemory(), choice, report
        self.reads_step = self.start.reads_step
        check_sizes(self)
        self.uncompile()

    @property
    def warm_rows(self) -> int:
        """The plan's H, and H for each elite that is carried over."""
        return self.horizon * (1 + self.memory.carried(self.elites))

    def compile(self, device: torch.device) -> None:
        """Compile the two functions that a plan consists of; the loop around them stays."""
        self._propose = compiled(self.scoring.propose, device)
        self._iterate = compiled(self.iterate, device)
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
        noise = draw_mppi_noise(
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
        return noise._replace(candidates=self.candidate_noise(noise.candidates))

    def iterate(
        self,
        model: PlanningModel,
        z: Tensor,
        proposals: Tensor,
        proposed: Any,
        mean: Tensor,
        std: Tensor,
        kept: Tensor | None,
        draws: tuple[Tensor, ScoreNoise],
    ) -> PlanIteration:
        """Draw candidates, score them, move the sampling distribution to the elites.

        Args:
            z: [B, 1, Z]; mean, std: [H, B, A].
            proposals, proposed: what :meth:`Scoring.propose` returned.
            kept: [H, B, k, A] elites of the iteration before; None: none are kept.
            draws: candidates [H, B, n, A] of this iteration, and of their scores.
        """
        # candidates: the policy's proposals, draws around the mean, kept elites
        epsilon, score_noise = draws
        drawn = torch.addcmul(mean.unsqueeze(2), std.unsqueeze(2), epsilon).clamp_(-1, 1)
        drawn = drawn if kept is None else with_kept(drawn, kept)
        actions = torch.cat([proposals, drawn], 2)
        value = self.scoring.score(model, z, drawn, proposed, score_noise)
        # elites and their weights
        elite_value, elites = value.topk(self.elites, dim=1)
        index = elites[None, :, :, None].expand(*actions.shape[:2], -1, actions.shape[-1])
        elite_actions = actions.gather(2, index)
        weights = torch.softmax(self.temperature * elite_value, 1)
        scale = (1 / (weights.sum(1) + 1e-9))[None, :, None]
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
        step: Tensor | None = None,
        on_iteration: Callable[[PlanIteration], None] | None = None,
    ) -> PlanResult:
        """Plan from latents z [B, Z].

        Args:
            on_iteration: called with each :class:`PlanIteration`; a plan that is watched is not
                cut into pieces. The others: :meth:`Planner.plan`.
        """
        batch = z.shape[0]
        if batch == 1 or on_iteration is not None or z.device.type != "cpu":
            return self._plan_piece(z, model, noise, warm_start, greedy, step, on_iteration)
        planned, full = [], full_piece(self.cached_numbers, self.samples, z.shape[-1])
        for rows in pieces(batch, full, self.compiled):
            warm = None if warm_start is None else warm_start[:, rows]
            part = z[rows], model, self.noise_of_states(noise, rows), warm
            planned.append(self._plan_piece(*part, greedy, step))
        return joined(planned, batch)

    def stages(
        self,
        z: Tensor,
        model: PlanningModel,
        noise: MPPINoise,
        *,
        warm_start: Tensor | None = None,
        greedy: bool = False,
        step: Tensor | None = None,
    ) -> Iterator[Callable[[], PlanResult]]:
        """See :meth:`Planner.stages`: a stage is an iteration."""
        for last in self._iterations(z, model, noise, warm_start, step):
            yield lambda last=last: self._result(last, noise, greedy)

    @torch.no_grad()
    def examine(
        self, z: Tensor, model: PlanningModel, noise: MPPINoise
    ) -> tuple[PlanResult, dict[str, Tensor]]:
        """A greedy plan from z [B, Z], and what its last elites have in common."""
        (last,) = deque(self._iterations(z, model, noise, None, None, eager=True), maxlen=1)
        return self._result(last, noise, greedy=True), agreement(last, self.policy_samples)

    def noise_of_states(self, noise: MPPINoise, states: Tensor) -> MPPINoise:
        """The draws of some of the states, numbered in ``states`` [b] int64."""
        return noise_of_states(noise, states)

    def granularity(self, batch: int, latent_dim: int) -> int:
        """Fewer states than a multiple of so many take no less time, in a batch of ``batch``."""
        full = full_piece(self.cached_numbers, self.samples, latent_dim)
        return full if self.compiled and batch > full // 2 else 1

    def _is_compiled_for(self, z: Tensor) -> bool:
        """Whether compiled code plans for z [b, 1, Z]: for one state or a whole piece."""
        # each size takes a minute to compile, and those in between would gain a tenth
        sizes = (1, full_piece(self.cached_numbers, self.samples, z.shape[-1]))
        return z.device.type != "cpu" or z.shape[0] in sizes

    def _plan_piece(
        self,
        z: Tensor,
        model: PlanningModel,
        noise: MPPINoise,
        warm_start: Tensor | None,
        greedy: bool,
        step: Tensor | None,
        on_iteration: Callable[[PlanIteration], None] | None = None,
    ) -> PlanResult:
        tell = on_iteration or (lambda _: None)
        for last in self._iterations(z, model, noise, warm_start, step, bool(on_iteration)):
            tell(last)
        return self._result(last, noise, greedy)

    def _iterations(
        self,
        z: Tensor,
        model: PlanningModel,
        noise: MPPINoise,
        warm_start: Tensor | None,
        step: Tensor | None,
        eager: bool = False,
    ) -> Iterator[PlanIteration]:
        """The iterations of the plans from z [b, Z], all states together."""
        if warm_start is None:
            warm_start = z.new_zeros(self.warm_rows, z.shape[0], noise.action.shape[-1])
        # sample policy trajectories, once for all iterations
        z = z.unsqueeze(1)
        propose, iterate = self._propose, self._iterate
        if eager or not (self.compiled and self._is_compiled_for(z)):
            propose, iterate = self.scoring.propose, self.iterate
        proposals, proposed = propose(model, z, noise.policy)
        # where the sampling distribution starts, and the elites of the last step
        bounds, previous = (self.min_std, self.max_std), warm_start[: self.horizon]
        mean, std = self.start(previous, proposals, bounds, step)
        kept = self.memory.recall(warm_start, self.elites, mean, std, noise.candidates[0, -1])
        # iterate
        sizes = [self.population(j, self.samples, self.elites) for j in range(len(noise.heads))]
        for draws in of_iterations(noise, sizes):
            last = iterate(model, z, proposals, proposed, mean, std, kept, draws)
            yield last
            mean, std, kept = last.mean, last.std, self.memory.keep(last)

    def _result(self, last: PlanIteration, noise: MPPINoise, greedy: bool) -> PlanResult:
        draws, parts = (noise.pick, noise.action), (self.choice, self.report, self.memory)
        return result_of(last, draws, greedy, *parts)
