"""Whether compiling pays is a rule of sizes and calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from mppi_zoo.compute import compiling
from mppi_zoo.compute.threads import work

LAPTOP, SIZE5 = work(128, 128), work(256, 512)


def test_short_runs_stay_eager_and_long_ones_compile() -> None:
    assert not compiling.pays(2_000, LAPTOP)
    assert compiling.pays(30_000, LAPTOP)
    assert not compiling.pays(0, SIZE5)


def test_larger_networks_pay_earlier() -> None:
    calls = range(0, 40_000, 50)
    first = [next(n for n in calls if compiling.pays(n, size)) for size in (LAPTOP, SIZE5)]
    assert first[1] < first[0] / 2
    for size in (LAPTOP, SIZE5):
        decisions = [compiling.pays(n, size) for n in calls]
        assert decisions == sorted(decisions)


def test_what_it_saves_must_exceed_what_it_costs() -> None:
    least = next(n for n in range(100_000) if compiling.pays(n, LAPTOP))
    assert compiling.saved(least, LAPTOP) >= compiling.MARGIN * compiling.COST
    assert compiling.MARGIN > 1


def test_the_compiler_is_the_one_that_torch_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("CXX", raising=False)
    assert compiling.compiler() is None
    for name in ("g++", "my-compiler"):
        (tmp_path / name).touch(mode=0o755)
    assert compiling.compiler() == str(tmp_path / "g++")
    monkeypatch.setenv("CXX", "my-compiler")
    assert compiling.compiler() == str(tmp_path / "my-compiler")
