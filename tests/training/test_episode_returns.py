"""The return of the episode that a sampled window is of."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mppi_zoo.core.types import EnvSpec
from mppi_zoo.runs.row_log import Segment
from mppi_zoo.training.replay import Replay

SPEC = EnvSpec(2, 1, 50)
LANES, HORIZON = 2, 2


def filled(ends: list[tuple[bool, bool]], capacity: int) -> tuple[Replay, list[list[float]]]:
    """A replay after a step for each of ``ends``, and its episodes' returns by lane.

    Observations tell lane and episode; the last of a lane's episodes is under way.
    """
    replay = Replay(SPEC, capacity, HORIZON, num_envs=LANES, episode_returns=True)
    returns = [[0.0] for _ in range(LANES)]
    for time, done in enumerate(ends):
        reward = torch.tensor([1.0 + time, 100.0 + 3 * time])
        at = torch.tensor([[float(lane), len(returns[lane]) - 1.0] for lane in range(LANES)])
        nothing = torch.zeros(LANES)
        replay.add(at, nothing[:, None], reward, nothing, np.array(done), at)
        for lane in range(LANES):
            returns[lane][-1] += float(reward[lane])
            returns[lane] += [0.0] if done[lane] else []
    return replay, returns


def check(replay: Replay, returns: list[list[float]]) -> None:
    batch = replay.sample(64, np.random.default_rng(0))
    assert batch.episode_return is not None
    for at, earned in zip(batch.obs[0].long().tolist(), batch.episode_return.tolist(), strict=True):
        assert earned == returns[at[0]][at[1]]


@settings(deadline=None)
@given(
    ends=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=6, max_size=60),
    capacity=st.sampled_from([14, 30, 400]),
)
def test_every_window_carries_the_return_of_its_episode(
    ends: list[tuple[bool, bool]], capacity: int
) -> None:
    ends = [(False, False)] * 3 + ends  # so that there is a window, and then some
    replay, returns = filled(ends, capacity)
    if len(replay):
        check(replay, returns)
    assert replay.returns is not None
    assert all(len(lane.first) <= len(ends) + 1 for lane in replay.returns.lanes)


def test_returns_come_back_with_a_checkpoint_and_move_into_a_larger_replay() -> None:
    ends = [(time % 5 == 4, time % 7 == 6) for time in range(18)]
    replay, returns = filled(ends, 60)
    for capacity in (60, 100):
        loaded = Replay(SPEC, capacity, HORIZON, num_envs=LANES, episode_returns=True)
        rows = torch.arange(60)
        segments = {
            name: [Segment(rows, {key: replay.columns[key][rows] for key in log.columns})]
            for name, log in replay.logs.items()
        }
        loaded.load_state_dict(replay.state_dict(), segments)
        check(loaded, returns)


def test_nobody_who_did_not_ask_gets_returns() -> None:
    replay = Replay(SPEC, 60, HORIZON, num_envs=LANES)
    nothing = torch.zeros(LANES)
    for _ in range(5):
        at = torch.zeros(LANES, 2)
        replay.add(at, nothing[:, None], nothing, nothing, np.zeros(LANES, bool), at)
    assert replay.sample(4, np.random.default_rng(0)).episode_return is None
    assert "returns" not in replay.state_dict()
