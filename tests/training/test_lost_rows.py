"""A replay without rows that were lost: no window has one, and nothing else is missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.replays import SPEC, every_window, fill

from mppi_zoo.training.lost_rows import forget_rows
from mppi_zoo.training.replay import Replay

HORIZON, LANE = 3, 15


def windows(replay: Replay) -> set[tuple[int, ...]]:
    """The rows of each window that can be sampled."""
    if not len(replay):
        return set()
    first = every_window(replay).index[0].numpy()
    within = (first % LANE + np.arange(HORIZON + 1)[:, None]) % LANE + first // LANE * LANE
    return set(map(tuple, within.T.tolist()))


@settings(max_examples=40)
@given(
    steps=st.integers(8, 40),
    ends=st.lists(st.integers(0, 40), max_size=4),
    lost=st.lists(st.integers(0, 2 * LANE - 1), min_size=1, max_size=4, unique=True),
    more=st.integers(0, 12),
)
def test_no_window_has_a_lost_row_and_no_other_is_missing(
    steps: int, ends: list[int], lost: list[int], more: int
) -> None:
    whole, cut = (Replay(SPEC, 2 * LANE, HORIZON, num_envs=2) for _ in range(2))
    for replay in (whole, cut):
        fill(replay, steps, {end: [end % 2] for end in ends})
    expected = {w for w in windows(whole) if not set(w) & set(lost)}
    rows = torch.tensor(lost)
    if not expected:
        with pytest.raises(ValueError, match="no window of 4 rows is left"):
            forget_rows(cut, {"transitions": rows}, LANE)
        return
    forget_rows(cut, {"transitions": rows}, LANE)
    assert windows(cut) == expected
    # as the run goes on, rows are written anew, and then they count again
    missing = set(lost)
    for step in range(more):
        missing -= {int(lane * LANE + whole.cursor[lane]) for lane in range(2)}
        for replay in (whole, cut):
            fill(replay, 1, {}, seed=step)
        assert windows(cut) == {w for w in windows(whole) if not set(w) & missing}


def test_rows_without_their_plan_count_as_never_planned() -> None:
    replay = Replay(SPEC, 2 * LANE, HORIZON, num_envs=2)
    fill(replay, 10, {})
    before = windows(replay)
    rows = torch.tensor([1, LANE + 3])
    assert replay.columns["planned"][rows].all()
    replay.logs["plans"].cut()
    forget_rows(replay, {"plans": rows}, LANE)
    assert windows(replay) == before
    assert not replay.columns["planned"][rows].any()
    assert (replay.columns["plan_std"][rows] == 1).all()
    assert (replay.columns["plan_mean"][rows] == 0).all()
    segment, _ = replay.logs["plans"].cut()
    assert segment.rows.tolist() == rows.tolist()


def test_rows_of_a_smaller_replay_are_found_in_a_larger_one() -> None:
    replay = Replay(SPEC, 2 * LANE, HORIZON, num_envs=2)
    fill(replay, 10, {})
    forget_rows(replay, {"transitions": torch.tensor([10 + 4])}, 10)  # lane 1, row 4
    assert all(LANE + 4 not in window for window in windows(replay))
    assert any(4 in window for window in windows(replay))
