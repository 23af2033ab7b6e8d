"""The speed of a run: measured without touching the agent."""

from __future__ import annotations

import pytest
import torch
from support.agents import build_execution

from mppi_zoo.core.types import EnvSpec
from mppi_zoo.training.throughput import MEASURED_STATES, Sizes, Stopwatch, measure


def test_measuring_leaves_the_agent_as_it_was() -> None:
    execution = build_execution("pompc_adaptive_fkl", EnvSpec(5, 2, 50))
    agent = execution.agent
    before = {k: v.clone() for k, v in agent.world_model.state_dict().items()}
    scale = agent.objective.value_scale.value.clone()
    speed = measure(execution, Sizes(num_envs=2, batch_size=8))
    assert speed.plan > 0 and speed.update > 0
    for name, tensor in agent.world_model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert torch.equal(agent.objective.value_scale.value, scale)
    assert not agent.optimizers.model.adam.state_dict()["state"]
    assert speed.evaluation == 0


def test_large_batches_are_measured_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    execution = build_execution("bmpc_equiv", EnvSpec(5, 2, 50))
    planned: list[int] = []
    plan = execution.agent.plan

    def noted(model: object, obs: torch.Tensor, *rest: object) -> object:
        planned.append(len(obs))
        return plan(model, obs, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(execution._plan, "function", noted)
    monkeypatch.setattr("mppi_zoo.training.throughput._fastest", lambda call, *_: call() and 0.5)
    sizes = Sizes(1, 8, reanalysed=60, interval=10, evaluated=4)
    speed = measure(execution, sizes)
    assert planned == [1, MEASURED_STATES, 4]
    assert speed.plan == speed.evaluation == 0.5
    assert speed.update == pytest.approx(0.5 + 0.5 * 60 / MEASURED_STATES / 10)
    execution.compiled = True  # then all sizes must be compiled, so all are planned
    planned.clear()
    measure(execution, sizes)
    assert planned == [1, 60, 4]
    # where copies of the process evaluate, and compile for it
    planned.clear()
    estimated = measure(execution, sizes._replace(num_envs=2, estimated=True))
    assert planned == [2, 60] and estimated.evaluation == 2 * estimated.plan


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
