"""The archive of trained agents that a release has."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from support.short_runs import ToyRuns

import mppi_zoo
from mppi_zoo import share
from mppi_zoo.deploy.bundle import SUMS

pytest.importorskip("huggingface_hub")


def test_agents_load_from_the_archive(toy_run: ToyRuns, tmp_path: Path) -> None:
    runs = [toy_run("pompc_adaptive_fkl"), toy_run("tdmpc2_equiv")]
    archives = [tmp_path / place / "agents-1.tar.gz" for place in ("a", "b")]
    for archive in archives:
        assert share.main(["bundle", *map(str, runs), "--out", str(archive)]) == 0
    assert archives[0].read_bytes() == archives[1].read_bytes()
    digest = hashlib.sha256(archives[0].read_bytes()).hexdigest()
    assert Path(f"{archives[0]}.sha256").read_text() == f"{digest}  agents-1.tar.gz\n"
    with tarfile.open(archives[0]) as tar:
        tar.extractall(tmp_path, filter="data")
    top = tmp_path / "agents-1"
    for line in (top / SUMS).read_text().splitlines():
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((top / name).read_bytes()).hexdigest() == digest
    wanted = {"agent.safetensors", "config.gin", "run.json", "metrics.csv", "learning_curve.png"}
    obs = np.array([0.3, -0.2], np.float32)
    for run, member in zip(runs, ("pompc_adaptive_fkl", "tdmpc2_equiv"), strict=True):
        folder = top / f"{member.replace('_', '-')}_toy-point-terminating_s1"
        assert {path.name for path in folder.iterdir()} == wanted | {"README.md"}
        assert np.array_equal(mppi_zoo.load(folder).act(obs), mppi_zoo.load(run).act(obs))
        assert (
            f"| [{folder.name}]({folder.name}/README.md) | {member} |"
            in (top / "README.md").read_text()
        )


def test_what_is_no_finished_run_is_refused(
    toy_run: ToyRuns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = toy_run("pompc_adaptive_fkl")
    cut, bare = tmp_path / "cut", tmp_path / "bare"
    for copy in (cut, bare):
        shutil.copytree(run, copy)
    rows = (cut / "metrics.csv").read_text().splitlines(keepends=True)
    (cut / "metrics.csv").write_text("".join(row for row in rows if not row.startswith("64,")))
    (bare / "learning_curve.png").unlink()
    for runs, name, message in (
        ([cut], "x.tar.gz", "unfinished: its last evaluation is at step 32 of 64"),
        ([bare], "x.tar.gz", "no learning_curve.png"),
        ([run, run], "x.tar.gz", "several runs of one member"),
        ([run], "x.zip", "ends in .tar.gz"),
        ([tmp_path], "x.tar.gz", "run.json"),
    ):
        out = tmp_path / "out" / name
        assert share.main(["bundle", *map(str, runs), "--out", str(out)]) == 2
        assert message in capsys.readouterr().err and not out.parent.exists()
