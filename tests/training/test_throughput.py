"""The forecast of a run's length: measured, without touching the agent, and frank about days."""

from __future__ import annotations

import pytest
import torch
from support.agents import build_execution

from mppi_zoo.core.types import EnvSpec
from mppi_zoo.training.options import TrainingOptions
from mppi_zoo.training.throughput import Speed, Stopwatch, forecast, measure


def test_measuring_leaves_the_agent_as_it_was() -> None:
    execution = build_execution("pompc_adaptive_fkl", EnvSpec(5, 2, 50))
    agent = execution.agent
    before = {k: v.clone() for k, v in agent.world_model.state_dict().items()}
    scale = agent.objective.value_scale.value.clone()
    speed = measure(execution, num_envs=2, batch_size=8)
    assert speed.plan > 0 and speed.update > 0
    for name, tensor in agent.world_model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert torch.equal(agent.objective.value_scale.value, scale)
    assert not agent.optimizers.model.adam.state_dict()["state"]
    slower = measure(execution, num_envs=2, batch_size=8, states_per_update=1e4)
    assert slower.update > 100 * speed.update


def test_days_name_the_laptop_scale() -> None:
    published = forecast(Speed(0.4, 0.5), TrainingOptions(steps=1_000_000), 1, 2500)
    assert "1.1 agent steps/s" in published and "10.4 days" in published
    assert "--gin scale/laptop" in published
    laptop = forecast(Speed(0.01, 0.02), TrainingOptions(steps=15_000), 1, 2500)
    assert "33.3 agent steps/s" in laptop and "7 minutes" in laptop
    assert "laptop" not in laptop


def test_the_stopwatch_gives_means_and_leaves_pauses_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    watch = Stopwatch()
    for seconds in (0.25, 0.75):
        begun = now[0]
        now[0] += seconds
        assert watch.add("plan", begun) == now[0]
    begun = now[0]
    now[0] += 60.0  # an evaluation
    watch.pause(begun)
    watch.steps = 4
    assert watch.lap() == {"plan_ms": 500.0, "steps_per_second": 4.0}
    now[0] += 2.0
    watch.steps = 1
    assert watch.lap() == {"steps_per_second": 0.5}  # a new lap
