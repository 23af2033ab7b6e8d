"""Planning by gradient ascent on a few action sequences (Dream-MPC, arXiv 2605.04568).

n sequences are rolled out from the policy, mixed with the plan of the step before, and moved along
the gradient of their score: some tens of model evaluations where a sampling planner needs
thousands. Like every planner it is a function of latents, model and draws.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from mppi_zoo.compute.compilation import compiled
from mppi_zoo.core.noise import draw_pairs, normal_draws
from mppi_zoo.core.ranges import Count, NonNegative, Positive, Probability, Size
from mppi_zoo.core.registration import register
from mppi_zoo.planning.base import Planner, PlanningModel, PlanResult
from mppi_zoo.planning.gradient_report import Report, at_least_the_policys_std
from mppi_zoo.planning.scoring import ScoreNoise, Scoring, TerminalReturn, all_values


class GradientNoise(NamedTuple):
    """Every random draw of one plan; the draws of the score are the same in all its steps."""

    policy: Tensor  # [H, B, n, A] standard normal, for the policy's actions
    terminal: Tensor  # [B, n, A] standard normal, policy noise of the terminal value
    heads: Tensor  # [2] int64, critic heads of the terminal value, without replacement
    action: Tensor  # [B, A] standard normal, exploration
    along: Tensor | None  # [B, n, V, A] standard normal, further draws of the scoring

    @staticmethod
    def distributions() -> dict[str, str]:
        """What each field is drawn from; "pairs": two different heads of the critic."""
        normal = dict.fromkeys(("policy", "terminal", "action", "along"), "normal")
        return normal | {"heads": "pairs"}


class Ascent(NamedTuple):
    """n sequences of each state and what is known of them."""

    actions: Tensor  # [H, B, n, A] in [-1, 1]
    value: Tensor  # [B, n] their scores G
    gradient: Tensor  # [H, B, n, A] of the score minus the uncertainty


@register
class GradientPlanner(Planner):
    """Ascends the score of a few sequences that start from the policy.

    Args:
        horizon: H, steps.
        sequences: n.
        steps: K, gradient steps; 0 keeps the best of n roll-outs of the policy.
        step_size: eta, the length of a step over all H * A actions of a sequence.
        reuse: weight of the last plan, shifted by a step, in a start; the policy has the rest, and
            all of it where there is no last plan and at the last of the H steps.
        beta: weight of the std over the critic's heads at the last latent, which the ascent
            avoids; the choice of the sequence goes by the score alone.
        halve_on_failure: take back a step that lowers the score, and try half of it next.
        scoring: how sequences are scored; None: :class:`TerminalReturn`.
        report: the distribution of the first action that the planner states,
            :func:`at_least_the_policys_std` or :class:`SpreadAboutBest`.
    """

    differentiates = True

    def __init__(
        self,
        horizon: Size = 3,
        sequences: Size = 5,
        steps: Count = 1,
        step_size: Positive = 0.1,
        reuse: Probability = 0.5,
        beta: NonNegative = 0.0,
        halve_on_failure: bool = True,
        scoring: Scoring | None = None,
        report: Report = at_least_the_policys_std,
    ):
        self.report = report
        self.horizon, self.sequences, self.steps = horizon, sequences, steps
        self.step_size, self.reuse, self.beta = step_size, reuse, beta
        self.halve_on_failure, self.scoring = halve_on_failure, scoring or TerminalReturn()
        self.samples = sequences
        self.uncompile()

    def compile(self, device: torch.device) -> None:
        """Compile the two roll-outs; their gradients are compiled with them."""
        self._begin = compiled(self.begin, device)
        self._judge = compiled(self.judge, device)
        self.compiled = True

    def uncompile(self) -> None:
        """Back to eager execution."""
        self._begin, self._judge = self.begin, self.judge
        self.compiled = False

    def draw_noise(
        self,
        batch: int,
        action_dim: int,
        heads: int,
        generator: torch.Generator | None,
        dtype: torch.dtype = torch.float32,
    ) -> GradientNoise:
        """Every draw of one plan for ``batch`` states; from torch's own generator where None."""
        normal = normal_draws(generator, dtype)
        n, along = self.sequences, self.scoring.draws_along(self.horizon)
        return GradientNoise(
            policy=normal(self.horizon, batch, n, action_dim),
            terminal=normal(batch, n, action_dim),
            heads=draw_pairs(1, heads, generator)[0],
            action=normal(batch, action_dim),
            along=normal(batch, n, along, action_dim) if along else None,
        )

    def noise_of_states(self, noise: GradientNoise, states: Tensor) -> GradientNoise:
        """The draws of some of the states, numbered in ``states`` [b] int64."""
        along = None if noise.along is None else noise.along[states]
        return GradientNoise(
            policy=noise.policy.index_select(1, states),
            terminal=noise.terminal[states],
            heads=noise.heads,
            action=noise.action[states],
            along=along,
        )

    def granularity(self, batch: int, latent_dim: int) -> int:
        """All states of a batch where compiled, as compiled code is for one number of them."""
        return batch if self.compiled else 1

    def begin(
        self,
        model: PlanningModel,
        z: Tensor,
        previous: Tensor,
        noise: GradientNoise,
        offset: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The starts [H, B, n, A], their scores and what they ascend, [B, n] each.

        Args:
            z: [B, 1, Z]; previous: [H, B, A] the last plan.
            offset: [H, B, n, A] zeros, by which the caller differentiates.
        """
        there = (previous != 0).any(-1, keepdim=True).any(0, keepdim=True)
        weight = self.reuse * there.to(previous.dtype).unsqueeze(2)
        last, actions = self.horizon - 1, []

        def act(z: Tensor, t: int) -> Tensor:
            own = model.propose(z.detach(), noise.policy[t])
            if t < last:
                own = torch.lerp(own, previous[t + 1].unsqueeze(1), weight[0])
            actions.append(own)
            return own + offset[t]

        trace = self.scoring.trace(model, z, act, self.horizon)
        value, ascended = self._worth(model, trace, noise)
        return torch.stack(actions), value, ascended

    def judge(
        self, model: PlanningModel, z: Tensor, actions: Tensor, noise: GradientNoise
    ) -> tuple[Tensor, Tensor]:
        """Scores of sequences [H, B, n, A] and what they ascend, [B, n] each."""
        trace = self.scoring.trace(model, z, lambda _, t: actions[t], self.horizon)
        return self._worth(model, trace, noise)

    def _worth(
        self, model: PlanningModel, trace: Any, noise: GradientNoise
    ) -> tuple[Tensor, Tensor]:
        draws = ScoreNoise(noise.terminal, noise.heads, noise.along)
        value = torch.nan_to_num(self.scoring.value(model, trace, draws), nan=0.0)
        if self.beta == 0:  # all heads would be evaluated for nothing
            return value, value
        return value, value - self.beta * all_values(model, trace[0], noise.terminal).std(0)

    def ascend(
        self, model: PlanningModel, z: Tensor, previous: Tensor, noise: GradientNoise
    ) -> tuple[Ascent, Tensor]:
        """The sequences after K steps, and the scores of their starts [B, n].

        Args:
            z: [B, 1, Z]; previous: [H, B, A] the last plan.
        """
        # start: the policy and the last plan, with the gradient at no further cost
        with torch.set_grad_enabled(self.steps > 0):
            offset = torch.zeros_like(noise.policy, requires_grad=self.steps > 0)
            actions, start, ascended = self._begin(model, z, previous, noise, offset)
            gradient = _gradient(ascended, offset) if self.steps else offset
        state = Ascent(actions.detach(), start.detach(), gradient)
        # ascend: each sequence by its own normalised gradient
        size = torch.full_like(state.value, self.step_size)
        for number in range(1, self.steps + 1):
            moved = self._moved(model, z, state, size, noise, again=number < self.steps)
            better = moved.value >= state.value
            kept = better if self.halve_on_failure else torch.ones_like(better)
            size = torch.where(kept, size, size / 2)
            whole = kept[None, :, :, None]
            state = Ascent(
                torch.where(whole, moved.actions, state.actions),
                torch.where(kept, moved.value, state.value),
                torch.where(whole, moved.gradient, state.gradient),
            )
        return state, start.detach()

    def _moved(
        self,
        model: PlanningModel,
        z: Tensor,
        state: Ascent,
        size: Tensor,
        noise: GradientNoise,
        again: bool,
    ) -> Ascent:
        """The sequences a step further; ``again``: whether a gradient there is needed too."""
        norm = state.gradient.square().sum((0, 3), keepdim=True).sqrt()
        step = size[None, :, :, None] * state.gradient / (norm + 1e-8)
        actions = (state.actions + step).clamp(-1, 1)
        with torch.set_grad_enabled(again):
            actions.requires_grad_(again)
            value, ascended = self._judge(model, z, actions, noise)
            gradient = _gradient(ascended, actions) if again else state.gradient
        return Ascent(actions.detach(), value.detach(), gradient)

    @torch.no_grad()
    def plan(
        self,
        z: Tensor,
        model: PlanningModel,
        noise: GradientNoise,
        *,
        warm_start: Tensor | None = None,
        greedy: bool = False,
        step: Tensor | None = None,
    ) -> PlanResult:
        """See :meth:`Planner.plan`.

        The plan is the best sequence; ``report`` states its distribution.

        Raises:
            ValueError: the view of the agent does not offer the policy's distribution.
        """
        return self._chosen(z, model, noise, warm_start, greedy)[0]

    def _chosen(
        self,
        z: Tensor,
        model: PlanningModel,
        noise: GradientNoise,
        warm_start: Tensor | None,
        greedy: bool,
    ) -> tuple[PlanResult, Ascent, Tensor]:
        if model.policy is None:
            raise ValueError(
                "GradientPlanner reports the policy's std, and the agent's view has no `policy`; "
                "expected a view such as mean_view (POMPCAgent.view = @mean_view)"
            )
        if warm_start is None:
            warm_start = z.new_zeros(self.horizon, z.shape[0], noise.action.shape[-1])
        state, start = self.ascend(model, z.unsqueeze(1), warm_start, noise)
        # choose the best by its score
        value, best = state.value.max(1, keepdim=True)
        index = best[None, :, :, None].expand(self.horizon, -1, -1, state.actions.shape[-1])
        plan = state.actions.gather(2, index).squeeze(2)
        # report
        dist = self.report(state.actions[0], plan[0], model.policy(z))
        action = plan[0] if greedy else (plan[0] + dist.std * noise.action).clamp(-1, 1)
        return PlanResult(action, dist, value.squeeze(1), plan, plan), state, start

    @torch.no_grad()
    def examine(
        self, z: Tensor, model: PlanningModel, noise: GradientNoise
    ) -> tuple[PlanResult, dict[str, Tensor]]:
        """A greedy plan from z [B, Z], and what the ascent gained.

        ``ascent_gain`` is the mean rise of the sequences' scores, ``ascent_share`` the share of the
        sequences that rose.
        """
        result, state, start = self._chosen(z, model, noise, None, True)
        gain = state.value - start
        return result, {"ascent_gain": gain.mean(), "ascent_share": (gain > 0).double().mean()}


def _gradient(ascended: Tensor, by: Tensor) -> Tensor:
    """The gradient of each sequence's own worth; 0 where it is not a number."""
    (gradient,) = torch.autograd.grad(ascended.sum(), by)
    return torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
