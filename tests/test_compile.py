"""torch.compile: the same numbers as eager, and eager where compiling fails."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from agents import build, random_batch

from mppi_zoo import run
from mppi_zoo.base import EnvSpec


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile on a CPU needs g++")
def test_compiled_equals_eager() -> None:
    spec = EnvSpec(5, 3, 100)
    eager, compiled = (build("pompc_adaptive_fkl", spec, "iterations=2") for _ in range(2))
    compiled.compile()
    batch = random_batch(spec)
    for seed in range(2):
        noise = eager.draw_update_noise(batch, torch.Generator().manual_seed(seed))
        figures = [agent.update(batch, 0, noise) for agent in (eager, compiled)]
        for name, figure in figures[0].items():
            torch.testing.assert_close(figures[1][name], figure, rtol=1e-8, atol=1e-9, msg=name)
    plan_noise = eager.draw_plan_noise(2, torch.Generator().manual_seed(0))
    plans = [agent.act(batch.obs[0, :2], plan_noise) for agent in (eager, compiled)]
    torch.testing.assert_close(plans[1].action, plans[0].action, rtol=1e-8, atol=1e-8)
    compiled.uncompile()
    assert compiled.planner._rollout_policy is eager.planner._rollout_policy


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
