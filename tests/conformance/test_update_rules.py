"""Rules of the update that no golden number and no reference shows.

The two priors with a state of their own, the memory of plans, windows and renewed plans.
"""

from __future__ import annotations

import numpy as np
import torch
from support.agents import build, random_batch, update
from support.seeds import SPEC, generator
from torch import Tensor

from mppi_zoo.core.math import gaussian_kl
from mppi_zoo.core.types import EnvSpec, Gaussian
from mppi_zoo.objective.prior import LaggedPrior, LearnedPrior
from mppi_zoo.training.replay import Replay


def test_the_lagged_prior_follows_the_policy() -> None:
    """Polyak averaging after each policy step, and never before it or while pretraining."""
    agent = build("pompc_lagged", SPEC)
    lagged = agent.prior
    assert isinstance(lagged, LaggedPrior)
    batch = random_batch(SPEC)

    def parameters() -> tuple[list[Tensor], list[Tensor]]:
        both = (lagged.copy, agent.policy)
        return tuple([p.detach().clone() for p in net.parameters()] for net in both)  # pyright: ignore

    with torch.no_grad():  # apart from each other, so that following can be told from copying
        for parameter in agent.policy.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    before, _ = parameters()
    noise = agent.draw_update_noise(batch, generator())
    update(agent, batch, noise, pretraining=True)
    assert all(torch.equal(a, b) for a, b in zip(before, parameters()[0], strict=True))
    for number in range(2):
        update(agent, batch, agent.draw_update_noise(batch, generator(number)))
        after, policy = parameters()
        for old, new, online in zip(before, after, policy, strict=True):
            torch.testing.assert_close(new, old + 0.01 * (online - old), rtol=0, atol=1e-14)
        before = after


def test_the_learned_prior_is_fitted_at_the_latents_of_its_plans() -> None:
    """The fitting loss compares P_t with the head at z_t of the roll-out, t = 0 .. H-1."""
    agent = build("pompc_adaptive_fkl", SPEC)
    prior, batch = agent.prior, random_batch(SPEC)
    assert isinstance(prior, LearnedPrior)
    with torch.no_grad():
        zs = agent.world_model.rollout(agent.world_model.encode(batch.obs[0]), batch.action)
        plan, planned = batch.plans()
        kl = gaussian_kl(plan, prior.head.dist(zs[:-1])).mean(-1) * planned
    figures = update(agent, batch, agent.draw_update_noise(batch, generator()))
    expected = sum(0.5**t * kl[t].mean() for t in range(3)) / 3
    torch.testing.assert_close(figures["prior_loss"], expected, rtol=1e-12, atol=0)


def numbered_replay(lengths: list[int], horizon: int = 3) -> Replay:
    """Episodes of one environment; observation, action and reward tell episode and time."""
    replay = Replay(EnvSpec(2, 1, 100), 200, horizon)
    for episode, length in enumerate(lengths):
        for t in range(length):
            replay.add(
                obs=torch.tensor([[float(episode), t]]),
                action=torch.tensor([[100.0 * episode + t]]),
                reward=torch.tensor([100.0 * episode + t]),
                terminated=torch.zeros(1),
                done=np.array([t == length - 1]),
                next_obs=torch.tensor([[float(episode), t + 1]]),
            )
    return replay


def test_windows_stay_within_one_episode() -> None:
    replay = numbered_replay([5, 2, 3, 8])
    batch = replay.sample(400, np.random.default_rng(0))
    episode, time = batch.obs.unbind(-1)
    assert (episode == episode[0]).all()
    assert torch.equal(time, time[0] + torch.arange(4.0)[:, None])
    assert torch.equal(batch.reward, 100 * episode[:-1] + time[:-1])
    starts = {(int(e), int(t)) for e, t in zip(episode[0], time[0], strict=True)}
    # an episode of n steps has n + 1 observations and n - 2 windows; one of 2 steps has none
    assert starts == {(0, t) for t in range(3)} | {(2, 0)} | {(3, t) for t in range(6)}
    assert len(replay) == len(starts)


def test_renewed_plans_reach_their_own_steps() -> None:
    replay = numbered_replay([5, 8])
    batch = replay.sample(6, np.random.default_rng(1))
    # a plan that tells its step, so that windows which overlap agree
    mean, std = batch.action / 1000, 1 + batch.action / 1000
    replay.write_plan(batch.index[:, :4], Gaussian(mean[:, :4], std[:, :4]))
    again = replay.gather(torch.cat([batch.index, batch.index[-1:]]))
    plan, planned = again.plans()
    torch.testing.assert_close(plan.mean[:, :4], mean[:, :4])
    torch.testing.assert_close(plan.std[:, :4], std[:, :4])
    assert planned[:, :4].all()
    # 5 + 8 steps and two last observations
    everything = replay.gather(torch.arange(15).expand(2, 15))
    renewed = everything.planned[0]
    assert renewed.sum() == batch.index[:, :4].unique().numel()
    torch.testing.assert_close(
        everything.plan.mean[0][renewed], everything.action[0][renewed] / 1000
    )
    # random steps, and what stands behind the end of an episode, read N(0, 1)
    assert (everything.plan.mean[0][~renewed] == 0).all()
    assert (everything.plan.std[0][~renewed] == 1).all()
