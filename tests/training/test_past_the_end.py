"""What follows a step that ended its episode for good (docs/terminations.md).

A chain of two states, where each step earns 1 and ends the episode with probability p, has the
value 1/(1 - g (1 - p)). Windows that never leave an episode hold terminal steps at their last
index alone, so that a critic learns with an effective probability of p rho^(H-1)/sum_t rho^t.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.replays import every_window
from torch import Tensor

from mppi_zoo.agent.losses import ModelLoss
from mppi_zoo.core.math import pair_mean, symexp, symlog, temporal_weights, weighted
from mppi_zoo.core.types import Batch, EnvSpec, NetworkSizes
from mppi_zoo.networks.critic import CriticQuery, QCritic, TargetQuery
from mppi_zoo.networks.policy import SquashedGaussian
from mppi_zoo.training.past_the_end import AbsorbingRows, NothingPastTheEnd, PastTheEnd
from mppi_zoo.training.replay import Replay

SPEC = EnvSpec(obs_dim=2, action_dim=1, episode_length=100, episodic=True)
HORIZON, GAMMA, ENDS, RHO = 3, 0.7, 0.25, 0.5
ALIVE, DEAD = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])


def episode(replay: Replay, length: int, terminated: bool, begin: float = 0.0) -> None:
    """One episode of a lane: observations and rewards count up from ``begin`` + 1."""
    for step in range(1, length + 1):
        last = step == length
        replay.add(
            obs=torch.full((1, 2), begin + step),
            action=torch.zeros(1, 1),
            reward=torch.tensor([begin + step]),
            terminated=torch.tensor([float(terminated and last)]),
            done=np.array([last]),
            next_obs=torch.full((1, 2), begin + step + 1),
        )


@given(
    lengths=st.lists(st.integers(HORIZON, 7), min_size=1, max_size=5),
    terminated=st.lists(st.booleans(), min_size=5, max_size=5),
    horizon=st.integers(1, HORIZON),
)
def test_a_terminal_step_is_at_every_index_equally_often(
    lengths: list[int], terminated: list[bool], horizon: int
) -> None:
    replay = Replay(SPEC, 300, horizon, past_the_end=AbsorbingRows())
    for number, length in enumerate(lengths):
        episode(replay, length, terminated[number], 100.0 * (number + 1))
    batch = every_window(replay)
    over = batch.terminated.bool()
    # terminal steps earn something, those past the end nothing
    terminal, past = over & (batch.reward != 0), over & (batch.reward == 0)
    assert terminal.sum(1).tolist() == [sum(terminated[: len(lengths)])] * horizon
    # whatever follows a terminal step is past the end, at the observation that it led to
    assert bool(past[1:][over[:-1]].all())
    assert torch.equal(batch.obs[1:][past], batch.obs[:-1][past])
    # a time limit is no end: such an episode is as without the part
    plain = Replay(SPEC, 300, horizon)
    for number, length in enumerate(lengths):
        episode(plain, length, False, 100.0 * (number + 1))
    extra = horizon + 1 - 1  # windows: one for each further row
    assert len(replay) == len(plain) + extra * sum(terminated[: len(lengths)])
    assert replay.steps == sum(lengths)


def test_every_episode_has_a_window_however_short() -> None:
    for part, count in ((NothingPastTheEnd(), 0), (AbsorbingRows(), 2)):
        replay = Replay(SPEC, 50, HORIZON, past_the_end=part)
        episode(replay, 1, True)
        assert len(replay) == count


def test_the_actions_past_the_end_fill_the_box_evenly() -> None:
    for dims in (1, 3):
        actions = AbsorbingRows().actions(np.arange(1000), dims)
        assert actions.dtype == np.float32 and np.abs(actions).max() <= 1
        cells = np.floor((actions + 1) / 2 * 4).clip(0, 3).astype(int) @ 4 ** np.arange(dims)
        counts = np.bincount(cells, minlength=4**dims)
        expected = 1000 / 4**dims
        # draws would be off by the square root of what is expected, points of the sequence by less
        assert np.abs(counts - expected).mean() < 0.5 * np.sqrt(expected)


def chain(past_the_end: PastTheEnd, steps: int = 60, lanes: int = 8) -> Batch:
    """All windows of the chain, played with random actions."""
    replay = Replay(SPEC, 10_000, HORIZON, lanes, past_the_end=past_the_end)
    draws = np.random.default_rng(0)
    for _ in range(steps):
        done = draws.random(lanes) < ENDS
        replay.add(
            obs=ALIVE.expand(lanes, 2),
            action=torch.from_numpy(draws.uniform(-1, 1, (lanes, 1)).astype(np.float32)),
            reward=torch.ones(lanes),
            terminated=torch.from_numpy(done.astype(np.float32)),
            done=done,
            next_obs=torch.where(torch.from_numpy(done)[:, None], DEAD, ALIVE),
        )
    return every_window(replay)


def learned(batch: Batch, weights: Tensor | None, updates: int = 200) -> QCritic:
    """A critic of plain observations, taught by target and loss as an agent's update does it."""
    torch.manual_seed(0)
    sizes = NetworkSizes(2, 1, 16)
    critic = QCritic(sizes, heads=2, dropout=0.0, target_pair=pair_mean, target_rate=0.5)
    policy, model = SquashedGaussian(sizes), cast(Any, SimpleNamespace(discount=GAMMA))
    optimizer = torch.optim.Adam(critic.online.parameters(), lr=1e-2)
    taken = CriticQuery(batch.obs[:-1], lambda: batch.action, model)
    for _ in range(updates):
        query = TargetQuery(batch, batch.obs, policy, model, torch.randn(1, *batch.action.shape))
        with torch.no_grad():
            target = critic.target(query, torch.tensor([0, 1]))
        loss = critic.loss(taken, target, RHO, None, weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        critic.update_target()
    return critic


@torch.no_grad()
def value(critic: QCritic, obs: Tensor) -> float:
    """The critic's mean over its heads and over actions."""
    action, model = torch.linspace(-1, 1, 9)[:, None], cast(Any, None)
    return float(critic.state_values(CriticQuery(obs.expand(9, 2), lambda: action, model)).mean())


def fixed_point(ends: float) -> float:
    """Where a critic comes to rest whose targets end with a probability.

    A two-hot critic averages targets in symlog: lower than 1/(1 - g (1 - p)), their mean.
    """
    found = torch.tensor(1.0)
    for _ in range(500):
        goes_on, over = symlog(1 + GAMMA * found), symlog(torch.tensor(1.0))
        found = symexp((1 - ends) * goes_on + ends * over)
    return float(found)


@pytest.mark.parametrize(
    ("part", "factor", "share"),
    [
        (AbsorbingRows(), 1.0, 1.0),
        (NothingPastTheEnd(), 1.0, RHO**2 / (1 + RHO + RHO**2)),  # 1/7
        (NothingPastTheEnd(), 7.0, 0.82),
    ],
)
def test_a_chain_with_termination_reaches_its_closed_form(
    part: PastTheEnd, factor: float, share: float
) -> None:
    """Without rows past the end, ends seem as much rarer as the last index weighs less.

    A factor on the terminal steps nearly makes it good.
    """
    batch = chain(part)
    steps = ModelLoss(terminal_steps=factor).step_weights(batch)
    if steps is not None:
        assert torch.equal(steps, torch.where(batch.terminated.bool(), factor, 1.0))
    living = batch.obs[:-1, :, 0] * temporal_weights(RHO, HORIZON, batch.obs)[:, None]
    living = weighted(living, steps)
    ends = float((living * batch.terminated).sum() / living.sum())
    assert ends == pytest.approx(share * ENDS, rel=0.15)
    critic = learned(batch, steps)
    assert value(critic, ALIVE) == pytest.approx(fixed_point(ends), rel=0.05)
    if isinstance(part, AbsorbingRows):
        assert abs(value(critic, DEAD)) < 0.05  # whatever the action
