"""Recorded plans and updates are the plans and updates, bit for bit.

A tape stands in for CUDA graphs: tests/support/graph_recorder.py.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from support.agents import MEMBERS, build_execution, random_batch
from support.graph_recorder import TapeRecorder
from support.short_runs import SMALL, TOY, ToyRuns, command, without_waiting

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.cli import acceleration
from mppi_zoo.cli import main as run
from mppi_zoo.compute.cuda_graphs import WARM_UP, Recorded
from mppi_zoo.core.types import EnvSpec, Gaussian, NetworkSizes
from mppi_zoo.objective.prior import PlannerPrior, Prior, PriorParts
from mppi_zoo.planning.base import PlanResult

SPEC = EnvSpec(5, 3, 100, episodic=True)
COSINE = ("KLObjective.lam=@Cosine()", "Cosine.start=9.0", "Cosine.end=0.1", "Cosine.steps=9")


def refuse(text: str) -> None:
    raise AssertionError(text)


def pair(member: str, *params: str) -> tuple[Execution, Execution, TapeRecorder]:
    """An agent and its twin that is recorded."""
    params = ("iterations=2", *params)
    eager, recorded = (build_execution(member, SPEC, *params, device="cpu") for _ in range(2))
    recorder = TapeRecorder()
    recorded.record(recorder, refuse)
    return eager, recorded, recorder


def update(execution: Execution, number: int, pretraining: bool = False) -> dict[str, torch.Tensor]:
    batch = random_batch(SPEC, seed=number, terminations=True)
    noise = execution.agent.draw_update_noise(batch, torch.Generator().manual_seed(number))
    return execution.update(batch, number, noise, pretraining=pretraining)


def plan(execution: Execution, number: int, states: int = 2, greedy: bool = False) -> PlanResult:
    generator = torch.Generator().manual_seed(number)
    obs = torch.randn(states, SPEC.obs_dim, dtype=torch.float64, generator=generator)
    noise = execution.agent.draw_plan_noise(states, generator)
    return execution.act(obs, noise, warm_start=noise.policy[:, :, 0].tanh(), greedy=greedy)


def same(ours: Any, theirs: Any) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("member", MEMBERS)
def test_recorded_updates_are_the_updates(member: str) -> None:
    eager, recorded, recorder = pair(member, *(COSINE if member == "pompc_replay" else ()))
    for number in range(WARM_UP + 3):
        same(update(recorded, number), update(eager, number))
    assert recorder.recorded == 1
    same(recorded.agent.state_dict(), eager.agent.state_dict())


def test_lambda_follows_the_step() -> None:
    _, recorded, _ = pair("pompc_replay", *COSINE)
    weights = [float(update(recorded, number)["lam"]) for number in range(WARM_UP + 4)]
    assert weights == sorted(weights, reverse=True) and len(set(weights)) == len(weights)


def test_recorded_plans_follow_the_updates() -> None:
    short = "Execution.planning_precision=@BFloat16Hidden"
    eager, recorded, recorder = pair("bmpc_equiv", short)
    kept: list[tuple[PlanResult, PlanResult]] = []
    for number in range(WARM_UP + 3):
        kept.append((plan(recorded, number), plan(eager, number)))
        for execution in (eager, recorded):
            update(execution, number, pretraining=True)  # BMPC's: of the model alone
    # also those handed out before others were made
    for ours, theirs in kept:
        same(tuple(ours.dist), tuple(theirs.dist))
        same((ours.action, ours.value, ours.mean), (theirs.action, theirs.value, theirs.mean))
    assert recorder.recorded == 2  # the plan and the update


def test_what_is_no_tensor_has_a_graph_of_its_own() -> None:
    eager, recorded, recorder = pair("bmpc_equiv")
    for number in range(WARM_UP + 2):
        for pretraining in (True, False):
            same(update(recorded, number, pretraining), update(eager, number, pretraining))
        for greedy in (True, False):
            same(
                tuple(plan(recorded, number, greedy=greedy).dist),
                tuple(plan(eager, number, greedy=greedy).dist),
            )
        same(plan(recorded, number, 3).action, plan(eager, number, 3).action)
    assert recorder.recorded == 5


def test_a_restored_agent_is_recorded_anew() -> None:
    eager, recorded, recorder = pair("pompc_adaptive_rkl")
    for number in range(WARM_UP + 2):
        update(recorded, number)
    other = build_execution("pompc_adaptive_rkl", SPEC, "iterations=2", device="cpu", seed=7)
    update(other, 0)
    for execution in (recorded, eager):
        execution.agent.load_state_dict(copy.deepcopy(other.agent.state_dict()))
    for number in range(WARM_UP + 2):
        same(update(recorded, number), update(eager, number))
    assert recorder.waited == 1 and recorder.recorded == 2
    same(recorded.agent.state_dict(), eager.agent.state_dict())


class Reading(PlannerPrior):
    """Reads a number on the host."""

    def dist(self, z: torch.Tensor, batch: Any) -> Gaussian:
        plan, _ = batch.plans()
        return Gaussian(plan.mean, plan.std * plan.std.max().item())


def prior_parts(agent: POMPCAgent) -> PriorParts:
    """What an agent offers to a prior of its own."""
    model = agent.world_model
    sizes = NetworkSizes(model.latent_dim, agent.spec.action_dim, model.mlp_dim)
    return PriorParts(sizes, agent.policy, agent._replan_now, agent.objective.rho)


class Unknown(Prior):
    """Says nothing of itself."""

    def dist(self, z: torch.Tensor, batch: Any) -> Gaussian:
        return batch.plans()[0]


def test_what_cannot_be_recorded_runs_as_it_is() -> None:
    said: list[str] = []
    eager, recorded, _ = pair("pompc_replay")
    for execution in (eager, recorded):
        execution.agent.prior = Reading(prior_parts(execution.agent))
    recorded.record(TapeRecorder(), said.append)
    for number in range(WARM_UP + 3):
        same(update(recorded, number), update(eager, number))
    assert said == [
        "no CUDA graph of the update (operation not permitted when stream is capturing): going on "
        "without it"
    ]
    recorded.agent.prior = Unknown(prior_parts(recorded.agent))
    recorded.record(TapeRecorder(), said.append)
    assert said[1:] == ["no CUDA graph of the update: Unknown is not recordable"]


def test_draws_are_never_recorded() -> None:
    said: list[str] = []
    recorded = Recorded("draw", lambda x: x + torch.randn(3))
    recorded.begin(TapeRecorder(), said.append)
    for _ in range(WARM_UP + 1):
        recorded(torch.ones(3))
    assert recorded.count == 0 and "draws" in said[0]


def loud(out: Path, option: str) -> list[str]:
    """The arguments of :class:`ToyRuns`, with one option, not quiet."""
    arguments = command(out, "bmpc_equiv", TOY, *SMALL, option)
    arguments.remove("--quiet")
    return arguments


def test_a_cpu_has_no_graphs_and_goes_on_without(
    tmp_path: Path,
    toy_run: ToyRuns,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    without_waiting(monkeypatch)
    assert run.main(loud(tmp_path / "run", "--graphs")) == 0
    assert "no CUDA graphs on cpu: going on without them" in capsys.readouterr().out
    eager = toy_run("bmpc_equiv") / "metrics.csv"
    assert (tmp_path / "run" / "metrics.csv").read_text() == eager.read_text()


@pytest.mark.parametrize("option", ["--compile", "--graphs"])
def test_a_recorded_run_is_the_run(
    option: str,
    tmp_path: Path,
    toy_run: ToyRuns,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From the command line, as on a GPU; the compiler fails besides."""
    without_waiting(monkeypatch)

    def no_compiler(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no working C++ compiler")

    recorder = TapeRecorder()
    with monkeypatch.context() as patch:
        patch.setattr(torch, "compile", no_compiler)
        patch.setattr(acceleration, "recorder_for", lambda device: recorder)
        assert run.main(loud(tmp_path / "run", option)) == 0
    said = capsys.readouterr().out
    assert ("torch.compile failed (no working C++ compiler)" in said) == (option == "--compile")
    assert "no CUDA graph" not in said
    # measured: a plan, an update, a re-analysis, an evaluation; then updates of pretraining and
    # training, acting, evaluation
    assert recorder.recorded == 8
    eager = toy_run("bmpc_equiv") / "metrics.csv"
    assert (tmp_path / "run" / "metrics.csv").read_text() == eager.read_text()
