"""Diagnostics of the family, measured at evaluation without touching the training.

Every metric is a function of the agent, the replay, the evaluation's episodes and draws that
depend on the run's seed and the agent step alone. KL and entropy are in nats per action dimension.

===========================  ===================================================================
metric                       meaning
===========================  ===================================================================
kl_to_prior                  KL(pi || P_prior) at replayed states; absent without a Gaussian prior
kl_to_planner                KL(pi || P_t), P_t as stored in the replay
kl_to_fresh_planner          KL(pi || P), P planned anew
policy_entropy               entropy of the executed action, sample estimate
gradient_variance_replay     variance over single samples of the gradient of KL(pi || P_t)
gradient_variance_prior      the same towards P_prior, at the same states
gradient_variance_planner    what of the first comes from the draw of a plan alone, the state fixed
planner_std                  std of the planner's distribution, mean over action dimensions
elite_agreement              1 - weighted variance of the elites' first actions: 1 where all are
                             the same, 2/3 where uniform, 0 where they sit at opposite bounds
elite_policy_share           weight of the policy's proposals among the elites
planner_gain                 return of the planner - return of the bare policy, same episodes
value_estimate               critic's value of the states that the bare policy visits
value_return                 their discounted Monte-Carlo return
overestimation               the difference of the two
                             where episodes can end, at the states of the evaluation's episodes:
termination_recall           share of the ends that the model predicts with more than 0.5
termination_false_alarms     the same share of the other states
termination_predicted        mean predicted probability of an end
termination_happened         share of the steps that were one
policy_std_at_bound          share of the states at which the policy's std is at its upper bound
policy_action_spread         std over the states of the policy's deterministic action
===========================  ===================================================================
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.core.math import gaussian_kl
from mppi_zoo.core.rng import generator_for, numpy_generator_for
from mppi_zoo.core.types import Batch, Gaussian
from mppi_zoo.networks.critic import CriticQuery
from mppi_zoo.networks.policy import textbook_entropy
from mppi_zoo.training.evaluation import Episodes
from mppi_zoo.training.replay import Replay
from mppi_zoo.training.termination_metrics import termination_metrics


class Diagnostics:
    """Measures an agent; see the module's docstring.

    Args:
        seed: of the run.
        states: replayed states looked at.
        groups: gradients taken over them; the variance is estimated from their spread.
        replanned: of the states, those planned anew (twice).
    """

    def __init__(self, seed: int, states: int = 256, groups: int = 16, replanned: int = 32):
        if not 2 <= groups <= states or replanned < 1:
            raise ValueError(
                f"Diagnostics: expected 2 <= groups {groups} <= states {states} and "
                f"replanned {replanned} >= 1"
            )
        self.seed, self.states, self.groups, self.replanned = seed, states, groups, replanned

    def metrics(
        self, execution: Execution, replay: Replay, step: int, planner: Episodes, policy: Episodes
    ) -> dict[str, float]:
        """All metrics that can be measured at this step.

        Those of replayed states are absent until the replay holds enough planned ones.
        """
        agent, purpose = execution.agent, f"diagnostics-{step}"
        generator = generator_for(self.seed, purpose, agent.device)
        found = {"planner_gain": float(planner.returns.mean() - policy.returns.mean())}
        found |= value_metrics(agent, policy, generator)
        found |= termination_metrics(agent, planner, policy)
        if len(replay):
            batch = replay.sample(self.states, numpy_generator_for(self.seed, purpose))
            batch = first_planned(batch, self.groups)
            if batch.action.shape[1] >= self.groups:
                found |= self._replayed(execution, batch, generator)
        return found

    def _replayed(
        self, execution: Execution, batch: Batch, generator: torch.Generator
    ) -> dict[str, float]:
        agent, plan = execution.agent, batch.plans()[0]
        with torch.no_grad(), agent.draws_undone():
            z = agent.world_model.encode(batch.obs[0]).unsqueeze(0)
            prior = agent.prior.dist(z, batch)
            dist = agent.policy.dist(z)
            noise = torch.randn(
                batch.action.shape, generator=generator, device=agent.device, dtype=agent.dtype
            )
            entropy = textbook_entropy(agent.policy.sample(z, noise)) / agent.spec.action_dim
        found = {
            "kl_to_planner": gaussian_kl(dist, plan).mean(),
            "policy_entropy": entropy.mean(),
            "gradient_variance_replay": gradient_variance(agent, z, plan, self.groups),
        }
        if prior is not None:
            found["kl_to_prior"] = gaussian_kl(dist, prior).mean()
            found["gradient_variance_prior"] = gradient_variance(agent, z, prior, self.groups)
        found |= plan_metrics(execution, z[0, : self.replanned], generator)
        return {name: float(metric) for name, metric in found.items()}


def first_planned(batch: Batch, multiple: int) -> Batch:
    """The first step of the batch's planned windows, T = 1, cut to a multiple of windows."""
    rows = batch.planned[0].nonzero().squeeze(1)
    rows = rows[: len(rows) // multiple * multiple]
    return Batch(
        batch.obs[:2, rows],
        batch.action[:1, rows],
        batch.reward[:1, rows],
        batch.terminated[:1, rows],
        Gaussian(*(field[:2, rows] for field in batch.plan)),
        batch.planned[:2, rows],
        batch.index[:1, rows],
    )


def kl_gradient(agent: POMPCAgent, z: Tensor, target: Gaussian) -> Tensor:
    """Gradient of the mean KL(pi(z) || target) by the policy's parameters, flattened."""
    parameters = list(agent.policy.parameters())
    with torch.enable_grad():
        loss = gaussian_kl(agent.policy.dist(z), target).mean()
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)])


def _split(z: Tensor, target: Gaussian, groups: int) -> list[tuple[Tensor, Gaussian]]:
    parts = zip(*(x.chunk(groups, -2) for x in (z, *target)), strict=True)
    return [(chunk, Gaussian(mean, std)) for chunk, mean, std in parts]


def gradient_variance(agent: POMPCAgent, z: Tensor, target: Gaussian, groups: int) -> Tensor:
    """Trace of the covariance, over single samples, of :func:`kl_gradient`: 0-d.

    Args:
        z: [..., n, Z] with n a multiple of ``groups``; target: [..., n, A].
        groups: gradients of n/groups samples each; their variance times n/groups.
    """
    total, squares = None, z.new_zeros(())
    for chunk, part in _split(z, target, groups):
        gradient = kl_gradient(agent, chunk, part)
        total = gradient if total is None else total + gradient
        squares = squares + gradient.square().sum()
    assert total is not None
    between = (squares - total.square().sum() / groups) / (groups - 1)
    return between * (z.shape[-2] // groups)


def plan_metrics(execution: Execution, z: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """What two independent plans from each latent [n, Z] say; planned as in re-analysis."""
    agent, count = execution.agent, z.shape[0]
    model = execution.replanning_model()
    noise = agent.draw_plan_noise(2 * count, generator)
    result, own = agent.planner.examine(z.repeat(2, 1), model, noise)
    one, two = (Gaussian(*pair) for pair in zip(*(f.chunk(2) for f in result.dist), strict=True))
    groups = min(8, count)
    differences = [
        (kl_gradient(agent, chunk, a) - kl_gradient(agent, chunk, b)).square().sum()
        for (chunk, a), (_, b) in zip(_split(z, one, groups), _split(z, two, groups), strict=True)
    ]
    return {
        "kl_to_fresh_planner": gaussian_kl(agent.policy.dist(z), one).mean().detach(),
        # the difference of two independent draws has twice the variance of one
        "gradient_variance_planner": torch.stack(differences).mean() / 2 * (count / groups),
        "planner_std": result.dist.std.mean(),
        **own,
    }


@torch.no_grad()
def value_metrics(
    agent: POMPCAgent, episodes: Episodes, generator: torch.Generator, per_episode: int = 32
) -> dict[str, float]:
    """The critic's value of visited states against what the bare policy then earned.

    Where the time limit cut an episode, its tail is the critic's own value of the last state, and
    only states of the first half count, for which that tail is discounted most.
    """
    steps, count = episodes.rewards.shape

    def value(obs: np.ndarray) -> np.ndarray:
        return mean_value(agent, agent.tensor(obs), generator)

    rows = np.arange(count)
    tail = np.where(episodes.terminated, 0.0, value(episodes.obs[episodes.lengths, rows]))
    returns = np.zeros((steps + 1, count))
    discount = float(agent.world_model.discount)
    for t in reversed(range(steps + 1)):
        ahead = returns[t + 1] if t < steps else np.zeros(count)
        reward = episodes.rewards[t] if t < steps else np.zeros(count)
        returns[t] = np.where(t == episodes.lengths, tail, reward + discount * ahead)
    # the same number of states from each episode, evenly spaced
    reach = np.where(episodes.terminated, episodes.lengths, -(-episodes.lengths // 2))
    at = (np.arange(per_episode)[:, None] * reach // per_episode, rows[None, :])
    estimate, earned = value(episodes.obs[at]).mean(), returns[at].mean()
    return {
        "value_estimate": float(estimate),
        "value_return": float(earned),
        "overestimation": float(estimate - earned),
    }


@torch.no_grad()
def mean_value(agent: POMPCAgent, obs: Tensor, generator: torch.Generator) -> np.ndarray:
    """Mean of all critic heads at observations [..., O], the policy's action drawn: [...]."""
    z = agent.world_model.encode(obs)
    noise = torch.randn(
        *z.shape[:-1],
        agent.spec.action_dim,
        generator=generator,
        device=agent.device,
        dtype=agent.dtype,
    )
    heads = torch.arange(agent.critic.heads, device=agent.device)
    # each head is in two of the pairs, so the mean over pairs is the mean over heads
    pairs = torch.stack([heads, heads.roll(-1)], 1)
    query = CriticQuery(z, lambda: agent.policy.act(z, noise), agent.world_model)
    values = [agent.critic.state_value(query, pair) for pair in pairs]
    return torch.stack(values).mean(0).double().cpu().numpy()
