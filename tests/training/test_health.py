"""Divergence is found, and the first bad update is named with its batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.agents import build, random_batch
from torch import Tensor

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.parts import bad_parameters
from mppi_zoo.core.types import EnvSpec
from mppi_zoo.runs import tensor_file
from mppi_zoo.training.health import MOST_NOTED, Diverged, HealthCheck

SPEC = EnvSpec(obs_dim=4, action_dim=2, episode_length=20)
NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def agent() -> POMPCAgent:
    return build("pompc_replay", SPEC)


def metrics(loss: float = 1.0, norm: float = 2.0, other: float = 0.0) -> dict[str, Tensor]:
    values = {"model_loss": loss, "policy_grad_norm": norm, "kl_weight": other}
    return {name: torch.tensor(value) for name, value in values.items()}


def note(health: HealthCheck, *updates: dict[str, Tensor]) -> None:
    for number, noted in enumerate(updates, 1):
        health.note(100 + number, number, random_batch(SPEC, batch=4, seed=number), noted)


def test_the_flag_looks_at_losses_and_norms_alone(agent: POMPCAgent, tmp_path: Path) -> None:
    health = HealthCheck(agent, tmp_path)
    assert health.finite_flag() is None
    note(health, metrics(other=NAN))
    assert bool(health.finite_flag())
    note(health, metrics(norm=INF))
    assert not bool(health.finite_flag())


def test_the_first_bad_update_is_named_and_its_batch_kept(
    agent: POMPCAgent, tmp_path: Path
) -> None:
    health = HealthCheck(agent, tmp_path)
    note(health, metrics(), metrics(loss=INF, norm=NAN), metrics(loss=NAN))
    with pytest.raises(Diverged) as caught:
        health.check()
    said, kept = str(caught.value), tmp_path / "faults" / "batch_step102_update2.pt"
    assert said.startswith("update 2 at agent step 102 gave model_loss = inf, policy_grad_norm = n")
    assert f"The batch is kept in {kept}" in said and "|reward| up to" in said
    content = tensor_file.read(kept)
    assert (content["step"], content["update"]) == (102, 2)
    assert content["metrics"]["model_loss"] == INF
    assert torch.equal(content["batch"]["obs"], random_batch(SPEC, batch=4, seed=2).obs)
    assert list((tmp_path / "faults").iterdir()) == [kept]


def test_an_update_is_checked_once(agent: POMPCAgent, tmp_path: Path) -> None:
    health = HealthCheck(agent, tmp_path)
    note(health, *[metrics()] * MOST_NOTED)
    assert health.due
    health.check()
    assert not health.due and health.finite_flag() is None


def test_a_flag_on_the_host_is_not_computed_again(
    agent: POMPCAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    health = HealthCheck(agent, tmp_path)
    note(health, metrics(), metrics(norm=NAN))
    monkeypatch.delattr(HealthCheck, "finite_flag")
    with pytest.raises(Diverged, match="update 2 at agent step 102"):
        health.check(finite=False)
    note(health, metrics())
    health.check(finite=True)
    assert not health._noted


def test_a_batch_that_cannot_be_kept_hides_nothing(agent: POMPCAgent, tmp_path: Path) -> None:
    (tmp_path / "faults").write_text("in the way")
    health = HealthCheck(agent, tmp_path)
    note(health, metrics(loss=NAN))
    with pytest.raises(Diverged, match=r"model_loss = nan.*The batch could not be kept \("):
        health.check()


def test_parameters_that_are_not_finite_are_named(tmp_path: Path) -> None:
    agent = build("pompc_replay", SPEC)
    health = HealthCheck(agent, tmp_path)
    health.check_parameters(7)
    name, parameter = list(agent.world_model.named_parameters())[-1]
    with torch.no_grad():
        parameter.view(-1)[0] = NAN
    assert bad_parameters(agent.parts) == [f"world_model.{name}"]
    with pytest.raises(Diverged, match=rf"at agent step 7 the parameters world_model\.{name} are"):
        health.check_parameters(7)
    note(health, metrics(loss=NAN))
    with pytest.raises(Diverged, match=rf"and made world_model\.{name} not finite"):
        health.check()
