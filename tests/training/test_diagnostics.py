"""Diagnostics: their values where known, and that measuring changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from support.agents import build, random_batch
from support.short_runs import SMALL, ToyRuns, train, without_waiting

from mppi_zoo.agent.execution import Execution
from mppi_zoo.core.types import EnvSpec, Gaussian
from mppi_zoo.planning.mppi import MPPIPlanner
from mppi_zoo.training.diagnostics import (
    Diagnostics,
    first_planned,
    gradient_variance,
    kl_gradient,
    mean_value,
    plan_metrics,
    value_metrics,
)
from mppi_zoo.training.evaluation import Episodes

SPEC = EnvSpec(obs_dim=5, action_dim=3, episode_length=50)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("fresh", [False, True])
def test_training_is_the_same_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: bool
) -> None:
    # the fresh planner draws inside the agent: the case in which looking could shift training
    extra = ("--param", "POMPCAgent.prior=@FreshPlannerPrior") if fresh else ()
    member = "pompc_replay" if fresh else "pompc_adaptive_fkl"
    without_waiting(monkeypatch)
    measured = train(tmp_path / "with", member, "toy:point", *SMALL, *extra)
    monkeypatch.setattr(Diagnostics, "metrics", lambda *_: {})
    plain = train(tmp_path / "without", member, "toy:point", *SMALL, *extra)
    tables = [pd.read_csv(folder / "metrics.csv") for folder in (measured, plain)]
    # before the first plan is stored, the episodes' metrics alone
    assert (tables[0]["split"] == "diagnostic").sum() == 4 + 14
    kept = tables[0].loc[tables[0]["split"] != "diagnostic"].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, tables[1])
    agents = [torch.load(f / "checkpoints/last.pt")["agent"] for f in (measured, plain)]
    for name, module in agents[0]["modules"].items():
        for key, value in module.items():
            assert torch.equal(value, agents[1]["modules"][name][key]), (name, key)
    assert torch.equal(*(a["replan_generator"] for a in agents))


def test_gradient_variance_is_that_of_single_samples() -> None:
    agent = build("pompc_replay", SPEC)
    batch = first_planned(random_batch(SPEC, batch=200), 8)
    z = agent.world_model.encode(batch.obs[0]).detach().unsqueeze(0)
    each = [
        kl_gradient(agent, z[:, i : i + 1], Gaussian(*(f[:, i : i + 1] for f in batch.plans()[0])))
        for i in range(z.shape[1])
    ]
    exact = torch.stack(each).var(0).sum()
    one_a_group = gradient_variance(agent, z, batch.plans()[0], z.shape[1])
    torch.testing.assert_close(one_a_group, exact)
    grouped = gradient_variance(agent, z, batch.plans()[0], z.shape[1] // 4)
    assert 0.5 * exact < grouped < 2 * exact  # the same quantity from a quarter of the gradients


def test_gradient_variance_of_equal_samples_is_zero() -> None:
    agent = build("pompc_replay", SPEC)
    z = torch.randn(1, 1, agent.world_model.latent_dim).double().repeat(1, 12, 1)
    target = Gaussian(torch.full((1, 12, 3), 0.3).double(), torch.full((1, 12, 3), 0.2).double())
    gradient = kl_gradient(agent, z, target).square().sum()
    assert gradient > 0
    assert gradient_variance(agent, z, target, 4).abs() < 1e-10 * gradient


def test_first_planned_keeps_planned_windows_only() -> None:
    batch = random_batch(SPEC, batch=50)
    kept = first_planned(batch, 4)
    assert kept.planned[0].all() and kept.action.shape[0] == 1 and kept.obs.shape[0] == 2
    assert kept.action.shape[1] == int(batch.planned[0].sum()) // 4 * 4
    rows = batch.planned[0].nonzero().squeeze(1)[: kept.action.shape[1]]
    assert torch.equal(kept.plan.mean[0], batch.plan.mean[0, rows])


def test_plan_metrics_are_within_their_bounds() -> None:
    agent = build("pompc_replay", SPEC)
    z = agent.world_model.encode(torch.randn(10, 5).double()).detach()
    found = plan_metrics(Execution(agent), z, generator())
    assert 0 <= found["elite_agreement"] <= 1 and 0 <= found["elite_policy_share"] <= 1
    planner = agent.planner
    assert isinstance(planner, MPPIPlanner)
    assert planner.min_std <= found["planner_std"] <= planner.max_std
    assert found["gradient_variance_planner"] > 0 and found["kl_to_fresh_planner"] > 0


def episodes(rewards: np.ndarray, terminated: list[bool], lengths: list[int]) -> Episodes:
    steps, count = rewards.shape
    obs = np.random.default_rng(0).normal(size=(steps + 1, count, 5))
    return Episodes(
        rewards.sum(0), np.array(lengths), [], obs, rewards, np.array(terminated, dtype=bool)
    )


def test_value_return_is_the_discounted_sum() -> None:
    agent = build("tdmpc2_equiv", SPEC)
    with torch.no_grad():  # a value that would show if a terminated episode's end were given one
        list(agent.critic.online.parameters())[-1].normal_()
    assert mean_value(agent, torch.randn(1, 5).double(), generator())[0] != 0
    gamma = float(agent.world_model.discount)
    # one terminated episode of 3 steps beside a longer one, all states of it counted
    rewards = np.array([[1.0, 0.0], [2.0, 0.0], [4.0, 0.0], [0.0, 0.0]])
    returns = [1 + gamma * (2 + gamma * 4), 2 + gamma * 4, 4.0]
    found = value_metrics(agent, episodes(rewards, [True, True], [3, 4]), generator(), 12)
    assert found["value_return"] == pytest.approx(np.mean(returns) / 2)
    assert found["overestimation"] == pytest.approx(found["value_estimate"] - found["value_return"])


def test_a_time_limit_is_no_end() -> None:
    agent = build("bmpc_equiv", SPEC)
    with torch.no_grad():  # all values equal: the last layer's weights are zero, its bias is not
        list(agent.critic.online.parameters())[-1].normal_()
    constant = mean_value(agent, torch.randn(1, 5).double(), generator())[0]
    assert constant != 0
    gamma = float(agent.world_model.discount)
    # the reward at which that value is exact, so that nothing is over-estimated, cut anywhere
    rewards = np.full((6, 2), (1 - gamma) * constant)
    found = value_metrics(agent, episodes(rewards, [False, False], [6, 6]), generator())
    assert found["overestimation"] == pytest.approx(0, abs=1e-9)


def test_uniform_prior_has_no_kl_and_sizes_are_checked(toy_run: ToyRuns) -> None:
    table = pd.read_csv(toy_run("tdmpc2_equiv") / "metrics.csv")
    names = set(table.loc[table["split"] == "diagnostic", "metric"])
    assert "kl_to_planner" in names and "kl_to_prior" not in names
    with pytest.raises(ValueError, match="groups 300"):
        Diagnostics(1, states=256, groups=300)
