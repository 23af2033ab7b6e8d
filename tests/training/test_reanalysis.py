"""Lazy re-analysis (docs/method.md, section 5): which plans are renewed, and where they go."""

from __future__ import annotations

import pytest
import torch
from support.agents import build
from support.replays import SPEC, every_window, fill
from torch import Tensor

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.core.rng import generator_for, numpy_generator_for
from mppi_zoo.core.types import Batch, Gaussian
from mppi_zoo.training.reanalysis import NoReanalysis, Reanalysis
from mppi_zoo.training.replay import Replay


def setting(seed: int = 0) -> tuple[POMPCAgent, Replay, Batch]:
    """An agent, a replay, and a batch of windows of which no two share a row."""
    agent = build("bmpc_equiv", SPEC, dtype=torch.float32, seed=seed)
    replay = Replay(SPEC, 200, 3, num_envs=2)
    fill(replay, 60, {19: [0], 30: [1], 42: [0]}, seed)
    batch = every_window(replay)
    free: list[int] = []
    taken: set[int] = set()
    for window, rows in enumerate(batch.index.T.tolist()):
        if not taken.intersection(rows):
            free.append(window)
            taken.update(rows)
    chosen = torch.tensor(free[::2][:9])
    last = batch.index[-1:] + 1
    index = torch.cat([batch.index, last])[:, chosen]
    assert index.shape[1] == 9
    return agent, replay, replay.gather(index)


def columns(replay: Replay) -> dict[str, Tensor]:
    return {name: column.clone() for name, column in replay.columns.items()}


@pytest.mark.parametrize(("interval", "count"), [(10, 4), (3, 1), (1, 20)])
def test_refresh(interval: int, count: int) -> None:
    agent, replay, batch = setting()
    before, original = columns(replay), Gaussian(*(field.clone() for field in batch.plan))
    reanalysis = Reanalysis(interval, count)
    for update in range(1, 2 * interval):
        if update % interval:
            untouched = reanalysis.refresh(
                Execution(agent), replay, batch, update, generator_for(0, "plan")
            )
            assert untouched is batch
    assert all(torch.equal(before[name], column) for name, column in replay.columns.items())

    fresh = reanalysis.refresh(Execution(agent), replay, batch, interval, generator_for(0, "plan"))
    count = min(count, 9)
    # the plans of the stored states, from the zero mean and without exploration
    obs = batch.obs[:-1, :count].flatten(0, 1)
    noise = agent.draw_plan_noise(len(obs), generator_for(0, "plan"))
    expected = agent.replan(obs, noise).dist
    for new, old, stored, plan in zip(fresh.plan, original, batch.plan, expected, strict=True):
        assert torch.equal(new[:-1, :count].flatten(0, 1), plan)
        assert torch.equal(new[:, count:], old[:, count:])
        assert torch.equal(new[-1], old[-1])  # of the last observation as it was stored
        assert torch.equal(stored, old)  # the batch that came in stays as it was
    assert bool(fresh.planned[:-1, :count].all())
    assert torch.equal(fresh.planned[:, count:], batch.planned[:, count:])
    assert torch.equal(fresh.planned[-1], batch.planned[-1])
    for name in ("obs", "action", "reward", "terminated", "index"):
        assert torch.equal(getattr(fresh, name), getattr(batch, name))

    # the replay's rows are the batch's plans, and all other rows and columns what they were
    rows = batch.index[:, :count].flatten()
    others = torch.ones(len(replay.columns["planned"]), dtype=torch.bool)
    others[rows] = False
    for name, column in replay.columns.items():
        assert torch.equal(column[others], before[name][others]), name
        if not name.startswith("plan"):
            assert torch.equal(column[rows], before[name][rows]), name
    plan, planned = fresh.plans()
    assert torch.equal(replay.columns["plan_mean"][batch.index], plan.mean)
    assert torch.equal(replay.columns["plan_std"][batch.index], plan.std)
    assert torch.equal(replay.columns["planned"][batch.index], planned)


def test_windows_that_overlap_keep_whole_plans() -> None:
    # a row in two refreshed windows is planned twice; mean and std must come from the same plan
    agent, replay, _ = setting()
    batch = replay.sample(30, numpy_generator_for(0, "replay"))
    assert len(batch.index.unique()) < batch.index.numel()
    fresh = Reanalysis(1, 30).refresh(Execution(agent), replay, batch, 1, generator_for(0, "plan"))
    plan, _ = fresh.plans()
    for row in batch.index.unique().tolist():
        here = batch.index == row
        same_mean = (plan.mean[here] == replay.columns["plan_mean"][row]).all(-1)
        same_std = (plan.std[here] == replay.columns["plan_std"][row]).all(-1)
        assert bool((same_mean & same_std).any())


def test_no_reanalysis() -> None:
    agent, replay, batch = setting()
    assert (
        NoReanalysis().refresh(Execution(agent), replay, batch, 10, generator_for(0, "plan"))
        is batch
    )


@pytest.mark.parametrize("sizes", [(0, 20), (10, 0)])
def test_reanalysis_sizes(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="Reanalysis.(interval|count) = .*: expected an integer"):
        Reanalysis(*sizes)
