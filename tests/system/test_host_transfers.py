"""On a GPU nothing waits for the device but the one transfer of an environment step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.agents import build, random_batch
from support.meta_device import META, NothingWaits
from torch import Tensor
from torch.utils._pytree import tree_map

import mppi_zoo.agent.agent
import mppi_zoo.core.rng
from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.compute import transfer
from mppi_zoo.config import gin_config as config
from mppi_zoo.core.rng import generator_for
from mppi_zoo.core.types import EnvSpec
from mppi_zoo.envs import EpisodeVector
from mppi_zoo.runs.metrics import MetricsLogger
from mppi_zoo.runs.progress import Progress
from mppi_zoo.training.replay import Replay
from mppi_zoo.training.trainer import Trainer

# together they have every part of the zoo
KINDS = (
    "tdmpc2_equiv",
    "bmpc_equiv",
    "boom_equiv",
    "awac_mpc",
    "pompc_replay",
    "pompc_adaptive_rkl",
    "pompc_kl_budget",
    "pompc_lagged",
)
SPEC = EnvSpec(5, 3, 100, episodic=True)
VARIANTS = ("KLObjective.lam=@Cosine()", "Cosine.start=1.0", "Cosine.end=0.1", "Cosine.steps=9")


def moved(value: Any) -> Any:
    """Everything on the device that stands for a GPU."""
    return tree_map(lambda x: x.to(META) if isinstance(x, Tensor) else x, value)


@pytest.fixture
def meta(monkeypatch: pytest.MonkeyPatch) -> None:
    """What "meta" cannot do: draw, and Adam's own kernel."""
    for module in (mppi_zoo.agent.agent, mppi_zoo.core.rng):
        monkeypatch.setattr(
            module, "generator_for", lambda seed, purpose, device: generator_for(1, "")
        )
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: None)


def agent_on_meta(member: str, *params: str) -> POMPCAgent:
    return build(member, SPEC, "iterations=1", *params, dtype=torch.float32, device="meta")


@pytest.mark.usefixtures("meta")
@pytest.mark.parametrize("member", KINDS)
def test_plan_and_update_never_wait(member: str) -> None:
    short = ("POMPCAgent.planning_precision=@BFloat16Hidden",) if member == "boom_equiv" else ()
    agent = agent_on_meta(member, *short, *(VARIANTS if member == "pompc_replay" else ()))
    batch = random_batch(SPEC, terminations=True, dtype=torch.float32)
    generator = torch.Generator()
    update_noise = moved(agent.draw_update_noise(batch, generator))
    plan_noise = moved(agent.draw_plan_noise(7, generator))
    batch, obs = moved(batch), batch.obs[0, :7].to(META)
    with NothingWaits():
        result = agent.act(obs, plan_noise, warm_start=plan_noise.policy[:, :, 0])
        agent.replan(obs, plan_noise)
        figures = agent.update(batch, 3, update_noise)
    assert result.action.device == META
    assert all(figure.device == META and figure.ndim == 0 for figure in figures.values())


@pytest.mark.parametrize("member", KINDS)
def test_draws_and_the_optimiser_never_wait(member: str) -> None:
    agent, batch = build(member, SPEC, device="cpu"), random_batch(SPEC)
    generator = torch.Generator().manual_seed(0)
    agent.update(batch, 0, agent.draw_update_noise(batch, generator))  # makes Adam's state
    with NothingWaits(cpu_too=True):
        agent.act(batch.obs[0, :1], agent.draw_plan_noise(1, generator))
        agent.update(batch, 1, agent.draw_update_noise(batch, generator))


class Crossings:
    """Stands in for :mod:`mppi_zoo.compute.transfer` and counts."""

    def __init__(self, mode: NothingWaits, monkeypatch: pytest.MonkeyPatch):
        self.mode, self.real_to_device = mode, transfer.to_device
        self.to_host_calls = self.to_device_calls = 0
        monkeypatch.setattr(transfer, "to_device", self.to_device)
        monkeypatch.setattr(transfer, "to_host", self.to_host)

    def to_device(self, values: Any, device: torch.device, dtype: Any = None) -> Tensor:
        here = not isinstance(values, Tensor) or values.device.type == "cpu"
        self.to_device_calls += here and device == META
        with self.mode.crossing():
            return self.real_to_device(values, device, dtype)

    def to_host(self, *tensors: Tensor) -> tuple[np.ndarray, ...]:
        self.to_host_calls += 1
        return tuple(np.full(tensor.shape, 0.1, np.float32) for tensor in tensors)


@pytest.mark.usefixtures("meta")
@pytest.mark.parametrize(
    ("member", "replay_device", "most"),
    [
        # the observation; a row and its number, and as much again where an episode ends; the rows
        # of a sample
        ("pompc_adaptive_rkl", "meta", 6),
        # the observation and a sample's seven columns
        ("tdmpc2_equiv", "cpu", 8),
    ],
)
def test_one_transfer_an_environment_step(
    member: str, replay_device: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mode = NothingWaits()
    crossings = Crossings(mode, monkeypatch)
    task = config.set_macro("task", "toy:point-terminating")
    bindings = [
        task,
        "iterations=1",
        "Reanalysis.interval=2",
        "TrainingOptions.updates_per_step=0.5",
    ]
    experiment = config.parse([member, "debug"], bindings)
    with EpisodeVector(experiment.task, 2, 1, "training") as envs:
        agent = experiment.agent(envs.spec, device="meta")

        def drawn(draw: Any) -> Any:
            def patched(*args: Any) -> Any:
                with mode.crossing():
                    return moved(draw(*args))

            return patched

        monkeypatch.setattr(agent, "draw_plan_noise", drawn(agent.draw_plan_noise))
        monkeypatch.setattr(agent, "draw_update_noise", drawn(agent.draw_update_noise))
        horizon = agent.planner.horizon
        replay = Replay(envs.spec, 400, horizon, 2, device=replay_device, batch_device="meta")
        with MetricsLogger(tmp_path, tensorboard=False) as logger:
            trainer = Trainer(
                agent,
                envs,
                None,
                replay,
                experiment.reanalysis,
                experiment.training,
                1,
                logger,
                Progress(1, quiet=True),
                tmp_path,
            )
            trainer.obs = envs.reset()
            with mode:
                while trainer.pretraining_left == 0:
                    trainer.explore()
                trainer.pretrain()
                trainer.pretrain()
                assert crossings.to_host_calls == 0
                for step in range(1, 4):
                    begun = crossings.to_device_calls
                    trainer.advance()
                    assert crossings.to_host_calls == step
                    assert crossings.to_device_calls - begun <= most
    assert trainer.updates == 5


@pytest.mark.parametrize(
    "slip",
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).any()),
        lambda x: (x > 0).nonzero(),
        lambda x: x[x > 0],
        lambda x: x + torch.tensor([1.0, 2.0, 3.0]),
        lambda x: x * torch.tensor(2.0),
        lambda x: torch.masked_select(x, x > 0),
    ],
)
def test_slips_are_caught(slip: Any) -> None:
    with NothingWaits(cpu_too=True), pytest.raises(AssertionError):
        slip(torch.ones(3))


@pytest.mark.parametrize(
    "slip",
    [
        lambda x: x.cpu(),
        lambda x: x.numpy(),
        lambda x: x + torch.ones(3),
        lambda x: x[torch.zeros(2, dtype=torch.int64)],
        lambda x: x.copy_(torch.ones(3)),
        lambda x: torch.ones(3).to(META),
        lambda x: float(x.sum()),
    ],
)
def test_crossings_are_caught(slip: Any) -> None:
    x = torch.empty(3, device=META)
    with (
        NothingWaits(),
        pytest.raises((AssertionError, RuntimeError, TypeError)),
    ):
        slip(x)
