"""The replay (docs/method.md, sections 5 and 6): what updates are fed with.

A state machine compares the ring with plain Python lists: windows of H+1 rows within one episode,
oldest rows overwritten first, uniform sampling, plans written to their own rows only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from scipy.stats import chi2
from support.replays import SPEC, every_window, fill
from torch import Tensor

from mppi_zoo.core.types import Batch, Gaussian
from mppi_zoo.runs.row_log import Segment
from mppi_zoo.training.replay import Replay, replay_bytes


@dataclass(frozen=True)
class Row:
    """One row of the model; ``plan`` None for a random step or the end of an episode."""

    episode: int
    number: float  # unique, and what the stored observation, action and reward are made of
    is_step: bool
    terminated: float = 0.0
    plan: float | None = None


Content = tuple[Any, ...]


def content(rows: list[Row]) -> Content:
    """What a window over these rows must read, comparable with :func:`contents`."""
    steps = rows[:-1]
    return (
        tuple(row.number for row in rows),
        tuple((-row.number, row.number / 2, row.terminated) for row in steps),
        tuple(row.plan for row in rows),
    )


def contents(batch: Batch) -> list[Content]:
    """The windows of a batch, with the layout of the stored numbers checked and taken off."""
    assert torch.equal(batch.obs[..., 1], batch.obs[..., 0] + 0.5)
    assert torch.equal(batch.action[..., 1], 2 * batch.action[..., 0])
    mean, std = batch.plan
    assert torch.equal(mean[..., 1], mean[..., 0] * 3)
    unplanned = ~batch.planned
    assert bool((mean[unplanned] == 0).all()) and bool((std[unplanned] == 1).all())
    assert torch.equal(std[batch.planned], mean[batch.planned].abs() + 1)
    steps, windows = batch.reward.shape
    found = []
    for b in range(windows):
        found.append(
            (
                tuple(batch.obs[:, b, 0].tolist()),
                tuple(
                    (
                        float(batch.action[t, b, 0]),
                        float(batch.reward[t, b]),
                        float(batch.terminated[t, b]),
                    )
                    for t in range(steps)
                ),
                tuple(
                    float(mean[t, b, 0]) if batch.planned[t, b] else None for t in range(steps + 1)
                ),
            )
        )
    return found


def plan_of(numbers: Tensor) -> Gaussian:
    """A distribution that tells which number it was made of."""
    mean = torch.stack([numbers, 3 * numbers], -1)
    return Gaussian(mean, mean.abs() + 1)


class Store:
    """What a checkpoint keeps of a replay: its state, and the segments in order."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self.segments: dict[str, dict[int, Segment]] = {}

    def save(self, replay: Replay) -> None:
        self.state = replay.state_dict()
        for name, log in replay.logs.items():
            number = log.next
            segment, retired = log.cut()
            kept = self.segments.setdefault(name, {})
            kept[number] = segment
            for old in retired:
                del kept[old]

    def load(self, replay: Replay) -> None:
        segments = {name: list(kept.values()) for name, kept in self.segments.items()}
        replay.load_state_dict(self.state, segments)
        self.segments = {name: dict(enumerate(kept)) for name, kept in segments.items()}


class ReplayMachine(RuleBasedStateMachine):
    @initialize(
        lanes=st.integers(1, 3),
        horizon=st.integers(1, 3),
        spare=st.integers(2, 9),
        remainder=st.integers(0, 2),
    )
    def start(self, lanes: int, horizon: int, spare: int, remainder: int) -> None:
        self.lanes, self.horizon, self.lane_rows = lanes, horizon, horizon + spare
        self.capacity = self.lane_rows * lanes + min(remainder, lanes - 1)
        self.replay = self.fresh()
        self.rows: list[list[Row]] = [[] for _ in range(lanes)]
        self.episode = list(range(lanes))
        self.counter = 0.0
        self.steps = 0
        self.store = Store()

    def fresh(self) -> Replay:
        return Replay(SPEC, self.capacity, self.horizon, self.lanes)

    def number(self) -> float:
        self.counter += 1
        return self.counter

    @rule(
        # several steps at once, so that short runs wrap the ring too
        endings=st.lists(
            st.lists(st.sampled_from([False, False, False, True]), min_size=3, max_size=3),
            min_size=1,
            max_size=5,
        ),
        terminated=st.booleans(),
        planned=st.booleans(),
    )
    def steps_taken(self, endings: list[list[bool]], terminated: bool, planned: bool) -> None:
        for ended in endings:
            self.step(ended, terminated, planned)
            self.holds_the_same_windows()

    def step(self, ended: list[bool], terminated: bool, planned: bool) -> None:
        numbers, plans = [], []
        finals = [0.0] * self.lanes
        for lane in range(self.lanes):
            numbers.append(self.number())
            plans.append(self.number())
            over = float(terminated and ended[lane])
            plan = plans[-1] if planned else None
            self.rows[lane].append(Row(self.episode[lane], numbers[-1], True, over, plan))
            if ended[lane]:
                finals[lane] = self.number()
                self.rows[lane].append(Row(self.episode[lane], finals[lane], False))
                self.episode[lane] += self.lanes
            self.rows[lane] = self.rows[lane][-self.lane_rows :]
        number, done = torch.tensor(numbers), np.array(ended[: self.lanes])
        self.replay.add(
            obs=torch.stack([number, number + 0.5], -1),
            action=torch.stack([-number, -2 * number], -1),
            reward=number / 2,
            terminated=torch.from_numpy(done).float() * terminated,
            done=done,
            next_obs=torch.tensor(finals)[:, None] + torch.tensor([0.0, 0.5]),
            plan=plan_of(torch.tensor(plans)) if planned else None,
        )
        self.steps += self.lanes

    @rule(data=st.data())
    def write_plan(self, data: st.DataObject) -> None:
        if len(self.replay) == 0:
            return
        batch = every_window(self.replay)
        chosen = data.draw(st.integers(0, len(self.replay) - 1))
        numbers = torch.tensor([self.number() for _ in range(self.horizon)])
        self.replay.write_plan(batch.index[:, chosen : chosen + 1], plan_of(numbers[:, None]))
        written = dict(zip(batch.obs[:-1, chosen, 0].tolist(), numbers.tolist(), strict=True))
        for rows in self.rows:
            for place, row in enumerate(rows):
                if row.number in written:
                    rows[place] = replace(row, plan=written[row.number])

    @rule()
    def save_and_load(self) -> None:
        self.store.save(self.replay)
        self.replay = self.fresh()
        self.store.load(self.replay)

    @rule(seed=st.integers(0, 100))
    def sample(self, seed: int) -> None:
        if len(self.replay):
            batch = self.replay.sample(12, np.random.default_rng(seed))
            assert set(contents(batch)) <= set(self.expected())
            again = self.replay.gather(torch.cat([batch.index, batch.index[-1:]]))
            assert torch.equal(again.action, batch.action)

    def expected(self) -> list[Content]:
        """All windows, by lane and then oldest first."""
        windows = []
        for rows in self.rows:
            for first in range(len(rows) - self.horizon):
                window = rows[first : first + self.horizon + 1]
                if window[0].episode == window[-1].episode:
                    assert all(row.is_step for row in window[:-1])
                    windows.append(content(window))
        return windows

    @invariant()
    def holds_the_same_windows(self) -> None:
        expected = self.expected()
        assert len(self.replay) == len(expected)
        assert self.replay.steps == self.steps
        if expected:
            assert contents(every_window(self.replay)) == expected
        else:
            with pytest.raises(ValueError, match="holds no window"):
                self.replay.sample(1, np.random.default_rng(0))


TestReplayMachine = ReplayMachine.TestCase


TestReplayMachine.settings = settings(
    max_examples=max(10, settings().max_examples // 2), stateful_step_count=40
)


def test_every_window_is_equally_likely() -> None:
    # lanes with different numbers of windows: 9 of 30 rows, a wrapped ring, one that never ended
    replay = Replay(SPEC, 90, 3, num_envs=3)
    ends = {step: [0] for step in range(3, 60, 4)} | {17: [1]} | {29: [1]}
    fill(replay, 45, ends)
    total = len(replay)
    assert len({starts.count for starts in replay.starts}) > 1
    draws = 200 * total
    starts = replay.sample(draws, np.random.default_rng(0)).index[0].numpy()
    counts = np.unique(starts, return_counts=True)[1]
    assert len(counts) == total
    statistic = ((counts - 200) ** 2 / 200).sum()
    assert 1e-3 < chi2.sf(statistic, total - 1) < 1 - 1e-3
    # successive draws are independent: as often the same window twice as chance has it
    repeats = int((starts[1:] == starts[:-1]).sum())
    assert abs(repeats - 200) < 3.3 * np.sqrt(200)


def test_saved_state_survives_a_file(tmp_path: Any) -> None:
    replay = Replay(SPEC, 40, 2, num_envs=2)
    fill(replay, 33, {9: [0], 20: [0, 1]})
    store = Store()
    store.save(replay)
    torch.save((store.state, store.segments), tmp_path / "replay.pt")
    store.state, store.segments = torch.load(tmp_path / "replay.pt", weights_only=False)
    loaded = Replay(SPEC, 40, 2, num_envs=2)
    store.load(loaded)
    for further in range(3):
        batches = [r.sample(16, np.random.default_rng(further)) for r in (replay, loaded)]
        for name in ("obs", "action", "reward", "terminated", "planned", "index"):
            assert torch.equal(*(getattr(batch, name) for batch in batches)), name
        for r in (replay, loaded):
            fill(r, 5, {2: [1]}, seed=further)


def test_sizes() -> None:
    replay = Replay(SPEC, 100, 3, num_envs=3)
    assert replay.lane_rows == 33
    rows = sum(column.nbytes for column in replay.columns.values())
    assert replay.nbytes == rows <= replay_bytes(SPEC, 100)
    with pytest.raises(ValueError, match="leaves 4 rows each; a window of horizon 3 needs 5"):
        Replay(SPEC, 14, 3, num_envs=3)
    smallest = Replay(SPEC, 15, 3, num_envs=3)
    fill(smallest, 20, {})
    assert len(smallest) == 6
    with pytest.raises(ValueError, match="none can shrink"):
        smallest.load_state_dict(replay.state_dict(), {})
    with pytest.raises(ValueError, match="3 lanes, expected 1"):
        Replay(SPEC, 100, 3).load_state_dict(replay.state_dict(), {})
    full = Store()
    full.save(smallest)
    with pytest.raises(ValueError, match="a full replay cannot change its size"):
        full.load(replay)


@pytest.mark.parametrize("steps", [7, 11, 12])
def test_a_replay_that_was_not_full_moves_into_a_larger_one(steps: int) -> None:
    """A run that goes on for longer than planned has the replay that it would have had at once."""
    ends = {4: [0], 9: [0, 1]}  # lane 0 is full after 10 steps, whose ends take a row each
    small, large = (Replay(SPEC, rows, 2, num_envs=2) for rows in (28, 60))
    for replay in (small, large):
        fill(replay, steps, ends)
    store, moved = Store(), Replay(SPEC, 60, 2, num_envs=2)
    store.save(small)
    store.load(moved)
    for replay in (moved, large):
        fill(replay, 9, {3: [1]}, seed=1)
    assert len(moved) == len(large)
    batches = [replay.sample(64, np.random.default_rng(0)) for replay in (moved, large)]
    for name in ("obs", "action", "reward", "terminated", "planned", "index"):
        assert torch.equal(*(getattr(batch, name) for batch in batches)), name
    again = Store()
    again.save(moved)  # the log was begun anew, in the larger replay's numbers
    loaded = Replay(SPEC, 60, 2, num_envs=2)
    again.load(loaded)
    for name, column in moved.columns.items():
        assert torch.equal(column, loaded.columns[name]), name


def test_no_window_yet() -> None:
    replay = Replay(SPEC, 50, 3)
    fill(replay, 3, {})
    with pytest.raises(ValueError, match="no window of 4 observations"):
        replay.sample(1, np.random.default_rng(0))
    fill(replay, 1, {})
    assert len(replay) == 1
