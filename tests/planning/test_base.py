"""A planner is a part like any other: one from outside the package trains, is measured and acts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from support.agents import build
from support.random_shooting import RandomShooting

import mppi_zoo
from mppi_zoo.cli.main import main
from mppi_zoo.core.types import EnvSpec
from mppi_zoo.planning.base import PlanningModel
from mppi_zoo.planning.mppi import MPPIPlanner


def test_a_planner_from_outside_the_package(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ["--gin", "pompc_replay", "--gin", "debug", "--task", "toy:point", "--no-video"]
    planner = ("POMPCAgent.planner=@RandomShooting()", "RandomShooting.samples=8")
    bindings = [word for binding in planner for word in ("--param", binding)]
    own = ["--import", "support.random_shooting", *bindings, "--quiet", "--out", str(out)]
    assert main([*arguments, *own]) == 0
    table = pd.read_csv(out / "metrics.csv")
    measured = table.loc[table["split"] == "diagnostic", "metric"].tolist()
    assert "shooting_value" in measured and "planner_std" in measured
    assert "elite_agreement" not in measured  # MPPI's own
    controller = mppi_zoo.load(out)
    planner = controller.agent.planner
    assert isinstance(planner, RandomShooting) and planner.samples == 8
    assert np.abs(controller.act(np.zeros(2, dtype=np.float32))).max() <= 1


def test_the_view_of_the_agent_is_a_part() -> None:
    """A model that pays for large actions in place of the agent's own rewards."""

    def paying(networks, bounds) -> PlanningModel:
        model = build_view(networks, bounds)

        def step(z, action):
            return model.step(z, action)._replace(reward=-action.square().sum(-1))

        return model._replace(step=step, value=lambda z, noise, heads: torch.zeros_like(z[..., 0]))

    agent = build("tdmpc2_equiv", EnvSpec(5, 2, 100), "samples=256", "iterations=8")
    build_view = agent.view
    obs = torch.randn(4, 5, dtype=torch.float64)
    noise = agent.draw_plan_noise(4, torch.Generator().manual_seed(0))
    paid = agent.plan(paying(agent.networks, None), obs, noise, greedy=True)
    assert paid.mean.abs().max() < 0.2  # no action is the best
    assert not torch.allclose(agent.act(obs, noise, greedy=True).mean, paid.mean)


def test_examining_is_planning() -> None:
    agent = build("tdmpc2_equiv", EnvSpec(5, 2, 100))
    z = agent.world_model.encode(torch.randn(4, 5, dtype=torch.float64)).detach()
    model = agent.view(agent.networks, None)
    noise = agent.draw_plan_noise(4, torch.Generator().manual_seed(0))
    assert isinstance(agent.planner, MPPIPlanner)
    result, metrics = agent.planner.examine(z, model, noise)
    assert torch.equal(result.mean, agent.planner.plan(z, model, noise, greedy=True).mean)
    assert set(metrics) == {"elite_agreement", "elite_policy_share"}
    assert all(0 <= float(value) <= 1 for value in metrics.values())
