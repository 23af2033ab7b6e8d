"""The GPU benchmark runs on a CPU at small size, drops what does not fit, and says so."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from benchmarks.golden_errors import tf32


@pytest.mark.slow
def test_everything_runs_small(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, traces = tmp_path / "gpu.json", tmp_path / "traces"
    arguments = ["--small", "--device", "cpu", "--out", str(out), "--trace", str(traces)]
    assert gpu.main(arguments) == 0
    content = json.loads(out.read_text())
    found = {(r["section"], r["case"], r["version"]): r["value"] for r in content["rows"]}
    for key in (
        ("parts debug", "plan, 2 state(s)", "eager"),
        ("parts debug", "update", "eager"),
        ("parts debug", "update", "reference eager"),
        ("loop", "toy:point", "eager"),
        ("loop", "toy:point", "reference eager"),
        ("waits", "all events", "eager"),
        ("sharing", "2 process(es)", "toy:point"),
    ):
        assert found[key] > 0, key
    assert any(traces.glob("*.json.gz")) and any(traces.glob("*.txt"))
    said = capsys.readouterr().out.rstrip()
    assert "| eager |" in said and said.endswith("compiling takes minutes on a CPU")


def test_what_does_not_fit_the_budget_is_dropped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "gpu.json"
    assert gpu.main(["--small", "--device", "cpu", "--budget", "0", "--out", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert len(rows) == len(gpu.SECTIONS) and all(math.isnan(row["value"]) for row in rows)
    assert "loop, all: left out: the budget of 0 s is spent" in capsys.readouterr().out


def test_tf32_keeps_ten_bits() -> None:
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    rounded = tf32(x)
    mantissa, _ = torch.frexp(rounded.double())
    assert torch.equal((mantissa * 2**11).round(), mantissa * 2**11)
    assert ((rounded - x).abs() <= 2**-11 * x.abs()).all() and not torch.equal(rounded, x)
    assert torch.equal(tf32(rounded), rounded)
    odd = torch.tensor([float("inf"), -float("inf"), 0.0, 1.0, 3.0])
    assert torch.equal(tf32(odd), odd) and tf32(torch.tensor([float("nan")])).isnan().all()
