"""torch.compile: eager's and the goldens' numbers, no compiling anew, eager where it fails."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from support.agents import build_execution, random_batch, update
from support.goldens import Golden, check_action
from torch._dynamo.utils import counters

from mppi_zoo.agent.execution import Execution
from mppi_zoo.cli import main as run
from mppi_zoo.core.types import EnvSpec
from mppi_zoo.planning.mppi import MPPIPlanner

needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None, reason="torch.compile on a CPU needs g++"
)


@pytest.fixture(autouse=True)
def forget_compiled_code() -> None:
    torch.compiler.reset()


def graphs() -> int:
    """Graphs compiled so far."""
    return counters["stats"]["unique_graphs"]


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are made and differentiated as ever, but not turned into C++, which takes minutes."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))


@pytest.mark.slow
@needs_compiler
def test_compiled_equals_eager() -> None:
    spec = EnvSpec(5, 3, 100)
    # what is unrolled is short, and compiles sooner
    params = ("horizon=1", "num_enc_layers=1")
    eager, compiled = (build_execution("pompc_adaptive_fkl", spec, *params) for _ in range(2))
    compiled.compile()
    batch = random_batch(spec, window=1)
    for seed in range(2):
        noise = eager.agent.draw_update_noise(batch, torch.Generator().manual_seed(seed))
        figures = [execution.update(batch, 0, noise) for execution in (eager, compiled)]
        for name, figure in figures[0].items():
            torch.testing.assert_close(figures[1][name], figure, rtol=1e-8, atol=1e-9, msg=name)
    compiled.uncompile()
    ours, theirs = (e.agent.planner for e in (compiled, eager))
    assert isinstance(ours, MPPIPlanner) and isinstance(theirs, MPPIPlanner)
    assert ours._propose == ours.scoring.propose and ours._iterate == ours.iterate
    assert not ours.compiled and not theirs.compiled
    assert compiled.agent.policy_loss is eager.agent.policy_loss


@pytest.mark.slow
@pytest.mark.usefixtures("traced")
def test_compiled_plans_are_the_goldens(goldens: Path) -> None:
    golden = Golden(goldens, "tdmpc2_plan", "f64")
    execution, before = golden.execution("tdmpc2"), graphs()
    execution.compile()
    for case in ("t0_train", "warm_eval"):
        check_action(golden, execution, case)
    assert graphs() == before + 2  # of the proposals and of an iteration


@pytest.mark.slow
@pytest.mark.usefixtures("traced")
def test_compiled_updates_are_the_goldens(goldens: Path) -> None:
    golden = Golden(goldens, "bmpc_update", "f32")
    agent, before = golden.agent("bmpc"), graphs()
    Execution(agent).compile()
    running = agent.objective.kl_scale.get_submodule("running").get_buffer("value")
    running.fill_(float(golden["scale.before"]))
    batch = golden.batch("u0.")
    noise = golden.update_noise("u0.rand.", batch)
    figures = update(agent, batch, noise)
    golden.same(figures["model_loss"], "u0.total_loss")
    golden.same(figures["model_grad_norm"], "u0.grad_norm")
    golden.same(figures["policy_loss"], "u0.pi_loss")
    golden.same(figures["policy_grad_norm"], "u0.pi_grad_norm")
    assert graphs() >= before + 2  # both losses


def plan_for(execution: Execution, states: int, seed: int = 0) -> None:
    agent = execution.agent
    generator = torch.Generator().manual_seed(seed)
    obs = torch.randn(states, agent.spec.obs_dim, dtype=agent.dtype, generator=generator)
    noise = agent.draw_plan_noise(states, generator)
    warm = torch.zeros(agent.planner.horizon, states, agent.spec.action_dim, dtype=agent.dtype)
    execution.act(obs, noise, warm_start=warm)
    execution.act(obs, noise, greedy=True)


@pytest.mark.slow
def test_nothing_compiles_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whether a call fits a graph that is there, torch's tracing decides, before any backend. So the
    # backend here runs graphs as they are; turning all of them into C++ takes minutes.
    traced = functools.partial(torch.compile, backend="eager")
    monkeypatch.setattr(torch, "compile", traced)
    spec = EnvSpec(5, 3, 100)
    lam = ("KLObjective.lam=@Cosine()", "Cosine.start=10.0", "Cosine.end=0.1", "Cosine.steps=9")
    gate = ("KLObjective.kl_scale=@GatedValueScale()",)
    execution = build_execution("boom_equiv", spec, *lam, *gate, "iterations=2", "horizon=2")
    agent = execution.agent
    planner, latent_dim = agent.planner, agent.world_model.latent_dim
    assert isinstance(planner, MPPIPlanner)
    planner.cached_numbers = 3 * planner.samples * latent_dim  # pieces of three states
    execution.compile()
    batch, generator = random_batch(spec, window=2), torch.Generator().manual_seed(0)
    execution.update(batch, 0, agent.draw_update_noise(batch, generator))
    for states in (1, 3):
        plan_for(execution, states)
    known = graphs()
    assert known >= 6  # two losses, and two functions of the planner, for one and for three states
    factors = set()
    for step in range(1, 10):
        agent.objective.value_scale.value.fill_(0.5 * step)  # the gate opens above 2
        figures = execution.update(batch, step, agent.draw_update_noise(batch, generator))
        factors.add((round(float(figures["lam"]), 6), float(figures["kl_factor"]) > 0))
    assert len(factors) > 5 and {open_ for _, open_ in factors} == {False, True}
    for states in (1, 2, 4, 7, 10, 16, 60):  # environments, evaluation episodes, re-analysis
        plan_for(execution, states, seed=states)
    assert graphs() == known


def test_a_failure_to_compile_falls_back_to_eager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        def fail(*args: Any, **kwargs: Any) -> None:
            raise RuntimeError("no working C++ compiler")

        return fail

    monkeypatch.setattr(torch, "compile", broken)
    arguments = ["--gin", "tdmpc2_equiv", "--gin", "debug", "--task", "toy:point", "--no-video"]
    assert run.main([*arguments, "--compile", "--out", str(tmp_path / "run")]) == 0
    assert "torch.compile failed (no working C++ compiler): going on" in capsys.readouterr().out
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["options"]["compile"] is False  # as the run's numbers came about
