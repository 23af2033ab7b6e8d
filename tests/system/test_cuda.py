"""What only a GPU can show: graphs equal eager calls there, and torch sees nothing wait."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from support.agents import build_execution, random_batch

from mppi_zoo.agent.execution import Execution
from mppi_zoo.cli.setup import replay_device
from mppi_zoo.compute import cuda_graphs
from mppi_zoo.core.types import Batch, EnvSpec

SPEC = EnvSpec(5, 3, 100, episodic=True)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.fixture
def unwatched() -> Iterator[None]:
    """Afterwards torch no longer minds what synchronises."""
    yield
    torch.cuda.set_sync_debug_mode("default")


def refuse(text: str) -> None:
    raise AssertionError(text)


def on_gpu(batch: Batch) -> Batch:
    return cuda_graphs.mapped(batch, lambda tensor: tensor.cuda())


def step(execution: Execution, batch: Batch, draws: torch.Generator, number: int):
    agent = execution.agent
    figures = execution.update(batch, number, agent.draw_update_noise(batch, draws))
    result = execution.act(batch.obs[0, :2], agent.draw_plan_noise(2, draws))
    return figures, result


@needs_gpu
@pytest.mark.parametrize("member", ["tdmpc2_equiv", "pompc_adaptive_fkl", "boom_equiv"])
@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_graphs_equal_eager(member: str, compiled: bool) -> None:
    dtype = torch.float32
    eager, recorded = (build_execution(member, SPEC, dtype=dtype, device="cuda") for _ in range(2))
    if compiled:
        eager.compile()
        recorded.compile()
    recorded.record(cuda_graphs.CudaRecorder(eager.agent.device), refuse)
    draws = [torch.Generator("cuda").manual_seed(0) for _ in range(2)]
    batch = on_gpu(random_batch(SPEC, dtype=dtype, terminations=True))
    for number in range(cuda_graphs.WARM_UP + 3):
        (one, plan), (two, other) = (
            step(execution, batch, g, number)
            for execution, g in zip((eager, recorded), draws, strict=True)
        )
        torch.testing.assert_close(two, one, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(other.mean, plan.mean, rtol=1e-5, atol=1e-5)
    assert recorded.graphs() == (1, 1)


@needs_gpu
@pytest.mark.usefixtures("unwatched")
@pytest.mark.parametrize("recorded", [False, True])
def test_plan_and_update_never_wait(recorded: bool) -> None:
    execution = build_execution("tdmpc2_equiv", SPEC, dtype=torch.float32, device="cuda")
    draws = torch.Generator("cuda").manual_seed(0)
    batch = on_gpu(random_batch(SPEC, dtype=torch.float32))
    if recorded:
        execution.record(cuda_graphs.CudaRecorder(execution.agent.device), refuse)
    for number in range(cuda_graphs.WARM_UP + 2):
        step(execution, batch, draws, number)
    torch.cuda.set_sync_debug_mode("error")  # it raises at whatever synchronises
    step(execution, batch, draws, 9)


@pytest.mark.parametrize(
    ("kind", "free", "expected"),
    [("cuda", 1000, "cuda"), ("cuda", 200, "cpu"), ("cuda", 201, "cuda"), ("cpu", 1000, "cpu")],
)
def test_the_replay_is_on_the_gpu_where_it_leaves_half(
    kind: str, free: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10**9))
    assert replay_device(torch.device(kind), 100).type == expected
