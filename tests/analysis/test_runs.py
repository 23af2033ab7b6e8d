"""Run folders to the one table: whole, broken, running, of several configurations and versions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.run_folders import make_run

from mppi_zoo import analysis
from mppi_zoo.analysis.run import place

LAPTOP = Path(__file__).resolve().parents[2] / "baselines" / "results" / "laptop"


def test_committed_results(tmp_path: Path) -> None:
    found = analysis.load_runs([LAPTOP])
    assert len(found.runs) == 6 and not found.skipped
    assert {run.label for run in found.runs} == {"tdmpc2_equiv", "bmpc_equiv", "pompc_adaptive_fkl"}
    returns = analysis.evaluations(found.table)
    row = returns[(returns["algorithm"] == "tdmpc2_equiv") & (returns["agent_step"] == 25_000)]
    assert row["frames"].tolist() == [50_000, 50_000]
    assert row["value"].mean() == pytest.approx((967 + 931) / 2, abs=1)
    assert any("bmpc_equiv_s2 is unfinished" in note for note in found.notes)


def test_every_bad_folder_is_skipped_with_its_reason(tmp_path: Path) -> None:
    make_run(tmp_path / "good")
    (tmp_path / "empty").mkdir()
    make_run(tmp_path / "running", seed=2, steps=())
    broken = make_run(tmp_path / "broken", seed=3)
    (broken / "run.json").write_text("{not json")
    other = make_run(tmp_path / "other", seed=4)
    (other / "metrics.csv").write_text("time,reward\n1,2\n")
    old = make_run(tmp_path / "old", seed=5)
    (old / "run.json").write_text('{"member": "bmpc"}')
    bare = make_run(tmp_path / "bare", seed=6)
    (bare / "metrics.csv").unlink()
    torn = make_run(tmp_path / "torn", seed=7)
    (torn / "config.gin").write_text("KLObjective.lam = (1,")
    mixed = make_run(tmp_path / "mixed", seed=8)
    sessions = [{"step": step, "versions": {"mppi_zoo": v}} for step, v in ((0, "0.1.0"), (9, "2"))]
    (mixed / "sessions.jsonl").write_text("".join(json.dumps(s) + "\n" for s in sessions))
    shutil.copytree(tmp_path / "good", tmp_path / "zcopy")
    found = analysis.load_runs([tmp_path, tmp_path / "nowhere"])
    assert [run.folder.name for run in found.runs] == ["good"]
    reasons = {folder.name: reason for folder, reason in found.skipped.items()}
    expected = {
        "empty": "not a run folder",
        "running": "no evaluation yet",
        "broken": "not readable JSON",
        "other": "does not have the columns",
        "old": "lacks task, seed, versions",
        "bare": "whose training has begun",
        "torn": "ends within",
        "mixed": "begun with mppi_zoo 0.1.0 and resumed at step 9 with 2",
        "zcopy": "one seed would count twice",
        "nowhere": "no folder",
    }
    assert reasons.keys() == expected.keys()
    for name, reason in expected.items():
        assert reason in reasons[name], name


def test_a_half_written_last_line_is_left_out(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    with (folder / "metrics.csv").open("a") as file:
        file.write("4000,eval,episode_re")
    found = analysis.load_runs([folder])
    assert found.runs[0].reached == 3000


def test_configurations_are_never_averaged(tmp_path: Path) -> None:
    folders = [
        make_run(tmp_path / f"{lam}-{seed}", seed=seed, lam=lam)
        for lam in ("1.0", "@Cosine()")
        for seed in (1, 2)
    ]
    found = analysis.load_runs(folders)
    assert [run.label for run in found.runs[::2]] == [
        "pompc_replay [lam=1.0]",
        "pompc_replay [lam=@Cosine()]",
    ]
    drawn = analysis.curves(analysis.evaluations(found.table), "agent_step")
    assert set(drawn["algorithm"]) == {run.label for run in found.runs}
    assert (drawn["seeds"] == 2).all()


def test_the_native_tasks_and_the_original_program_stay_apart(tmp_path: Path) -> None:
    for seed, suite in ((1, "hb"), (2, "hbx")):
        make_run(tmp_path / suite, seed=seed, task=f"{suite}:h1hand-walk")
    found = analysis.load_runs([tmp_path])
    assert {run.label for run in found.runs} == {"pompc_replay", "pompc_replay [original program]"}


def test_what_the_command_line_alone_says_counts_too(tmp_path: Path) -> None:
    for seed, words in ((1, []), (2, ["--num-envs", "4"])):
        folder = make_run(tmp_path / str(seed), seed=seed)
        record = json.loads((folder / "run.json").read_text()) | {"command_line": words}
        (folder / "run.json").write_text(json.dumps(record))
    labels_ = [run.label for run in analysis.load_runs([tmp_path]).runs]
    assert labels_ == ["pompc_replay [num-envs=absent]", "pompc_replay [num-envs=4]"]


def test_versions_are_never_averaged(tmp_path: Path) -> None:
    make_run(tmp_path / "old", seed=1)
    make_run(tmp_path / "new", seed=2, version="0.2.0")
    found = analysis.load_runs([tmp_path])
    assert {run.label for run in found.runs} == {
        "pompc_replay [mppi_zoo=0.1.0]",
        "pompc_replay [mppi_zoo=0.2.0]",
    }
    assert "versions of mppi_zoo differ: 0.1.0, 0.2.0" in found.notes


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dmc:walker-walk", ("dmcontrol", "own", "walker-walk")),
        ("dmc:ball_in_cup-catch", ("dmcontrol", "own", "cup-catch")),
        ("hb:h1hand-sit_simple-v0", ("humanoidbench", "h1hand", "sit-simple")),
        ("hbx:h1-walk", ("humanoidbench", "h1", "walk")),
        ("gym:Hopper-v5", ("gym", "own", "Hopper-v5")),
        ("my_module:MyEnv", ("custom", "own", "my_module:MyEnv")),
    ],
)
def test_places(name: str, expected: tuple[str, str, str]) -> None:
    assert place(name) == expected
