"""Matmul precision: a switch of the process that is set around a call and put back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from support.agents import build_execution, random_batch

from mppi_zoo.compute.precision import Float32Matmul, TF32Matmul
from mppi_zoo.core.types import EnvSpec

SWITCH = torch.backends.cuda.matmul
SPEC = EnvSpec(5, 3, 100)


@pytest.fixture(params=[False, True])
def before(request: pytest.FixtureRequest) -> Iterator[bool]:
    """What the process had chosen."""
    kept, SWITCH.allow_tf32 = SWITCH.allow_tf32, request.param
    yield request.param
    SWITCH.allow_tf32 = kept


@pytest.mark.parametrize(("kind", "within"), [(Float32Matmul, False), (TF32Matmul, True)])
def test_it_holds_within_and_is_put_back(before: bool, kind: Any, within: bool) -> None:
    with kind()():
        assert SWITCH.allow_tf32 == within
    assert SWITCH.allow_tf32 == before
    with pytest.raises(KeyError), kind()():
        raise KeyError
    assert SWITCH.allow_tf32 == before


@pytest.mark.parametrize(
    ("bindings", "within"), [((), False), (("Execution.matmul_precision=@TF32Matmul()",), True)]
)
def test_plans_and_updates_run_in_it(before: bool, bindings: tuple[str], within: bool) -> None:
    execution = build_execution("tdmpc2_equiv", SPEC, *bindings)
    agent, batch, seen = execution.agent, random_batch(SPEC), []
    encode = agent.world_model.encode

    def watched(obs: torch.Tensor) -> torch.Tensor:
        seen.append(SWITCH.allow_tf32)
        return encode(obs)

    agent.world_model.encode = watched
    generator = torch.Generator().manual_seed(0)
    execution.act(batch.obs[0, :1], agent.draw_plan_noise(1, generator))
    execution.replan(batch.obs[0, :1], agent.draw_plan_noise(1, generator))
    execution.update(batch, 0, agent.draw_update_noise(batch, generator))
    assert len(seen) >= 4 and set(seen) == {within}
    assert SWITCH.allow_tf32 == before
