"""Run folders to the one table: whole, broken, running, of several configurations and versions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mppi_zoo import analysis
from mppi_zoo.analysis import MixedError
from mppi_zoo.analysis.configuration import differences, labels, parse_settings
from mppi_zoo.analysis.runs import place
from mppi_zoo.runs.metrics import MetricsLogger

LAPTOP = Path(__file__).resolve().parents[2] / "baselines" / "results" / "laptop"
CONFIG = """# Macros:
# =====
steps = 3000
task = 'dmc:walker-walk'

# Parameters for KLObjective:
KLObjective.lam = {lam}
EnvOptions.action_repeat = {repeat}
TrainingOptions.steps = %steps
Wrapped.value = \\
    [1, 2,
     3]
"""


def make_run(
    folder: Path,
    seed: int = 1,
    member: str = "pompc_replay",
    task: str = "dmc:walker-walk",
    lam: str = "1.0",
    repeat: str = "None",
    version: str = "0.1.0",
    steps: tuple[int, ...] = (1000, 2000, 3000),
    gain: float = 0.1,
) -> Path:
    with MetricsLogger(folder, tensorboard=False) as logger:
        for step in steps:
            value = gain * step + seed
            logger.write(step, "eval", {"episode_return": value})
            logger.write(step, "eval_policy", {"episode_return": value / 2})
    versions = {"mppi_zoo": version}
    record = {"member": member, "task": task, "seed": seed, "versions": versions}
    record["started"] = str(folder)
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "config.gin").write_text(CONFIG.format(lam=lam, repeat=repeat))
    return folder


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


def test_agent_steps_of_two_lengths_are_refused(tmp_path: Path) -> None:
    make_run(tmp_path / "two", seed=1)
    make_run(tmp_path / "four", seed=2, repeat="4")
    returns = analysis.evaluations(analysis.load_runs([tmp_path]).table)
    with pytest.raises(MixedError, match="walker-walk have .*2.*4.* frames"):
        analysis.curves(returns, "agent_step")
    drawn = analysis.curves(returns, "frames")
    assert set(drawn["step"]) == {2000, 4000, 6000, 8000, 12000}
    with pytest.raises(ValueError, match="step unit 'steps': expected one of agent_step, frames"):
        analysis.curves(returns, "steps")


def test_curves_of_one_two_and_three_seeds(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        make_run(tmp_path / str(seed), seed=seed, steps=(1000, 2000)[: 1 if seed == 3 else 2])
    for count, kind in ((1, ""), (2, "lowest to highest seed"), (3, "95 % interval")):
        folders = [tmp_path / str(seed) for seed in range(1, count + 1)]
        returns = analysis.evaluations(analysis.load_runs(folders).table)
        drawn = analysis.curves(returns, "agent_step")
        # the third run ends early: no mean over the two that got further
        assert drawn["step"].tolist() == ([1000] if count == 3 else [1000, 2000])
        first = drawn.iloc[0]
        assert first["value"] == pytest.approx(100 + np.mean(range(1, count + 1)))
        assert first["interval"] == kind and first["seeds"] == count
        assert np.isnan(first["low"]) == (count == 1)
        assert count == 1 or first["low"] < first["value"] < first["high"]


def test_scores_at_a_common_step_only(tmp_path: Path) -> None:
    make_run(tmp_path / "short", seed=1, steps=(1000, 2000))
    make_run(tmp_path / "long", seed=2)
    returns = analysis.evaluations(analysis.load_runs([tmp_path]).table)
    with pytest.raises(MixedError, match=r"end at different steps \(2,000, 3,000\)"):
        analysis.scores_at(returns, None, "agent_step")
    assert analysis.common_step(returns, "agent_step") == 2000
    assert analysis.common_step(returns, "frames") == 4000
    assert len(analysis.scores_at(returns, 2000, "agent_step")) == 2


def test_means_over_other_tasks_are_not_compared(tmp_path: Path) -> None:
    make_run(tmp_path / "a", seed=1)
    make_run(tmp_path / "b", seed=1, task="dmc:cup-catch")
    make_run(tmp_path / "c", seed=1, member="bmpc_equiv")
    returns = analysis.evaluations(analysis.load_runs([tmp_path]).table)
    scores = analysis.scores_at(returns, 2000, "agent_step")
    for refuses in (
        lambda: analysis.mean_over_tasks(scores),
        lambda: analysis.estimates(scores),
        lambda: analysis.sample_efficiency(returns, "agent_step"),
    ):
        with pytest.raises(MixedError, match="bmpc_equiv of mppi_zoo has no cup-catch"):
            refuses()
    shared = analysis.pick(scores, task="walker-walk")
    assert len(analysis.mean_over_tasks(shared)) == 2


def test_on_grid_interpolates_and_never_extrapolates(tmp_path: Path) -> None:
    make_run(tmp_path / "run", seed=0)
    returns = analysis.evaluations(analysis.load_runs([tmp_path / "run"]).table)
    grid = analysis.on_grid(returns, [500, 1500, 2500, 3500], "agent_step")
    assert grid["agent_step"].tolist() == [1500, 2500]
    assert grid["frames"].tolist() == [3000, 5000]
    np.testing.assert_allclose(grid["value"], [150, 250])


def test_area_is_taken_over_the_same_steps(tmp_path: Path) -> None:
    make_run(tmp_path / "short", seed=0, steps=(1000, 2000))
    make_run(tmp_path / "long", seed=1, member="bmpc_equiv")
    returns = analysis.evaluations(analysis.load_runs([tmp_path]).table)
    found = analysis.areas(returns, "agent_step").set_index("algorithm")["value"]
    assert found["pompc_replay"] == pytest.approx(150)
    assert found["bmpc_equiv"] == pytest.approx(151)


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


def test_settings_are_parsed() -> None:
    settings = parse_settings(CONFIG.format(lam="2.0", repeat="None"))
    assert settings["TrainingOptions.steps"] == "3000"
    assert settings["KLObjective.lam"] == "2.0"
    assert settings["Wrapped.value"].replace(" ", "") == "[1,2,3]"
    with pytest.raises(ValueError, match="line 1 is 'nonsense'"):
        parse_settings("nonsense\n")


def test_labels_tell_many_differences_apart() -> None:
    many = [{f"A.x{i}": str(v) for i in range(5)} for v in (0, 1, 1)]
    found = labels(["m", "m", "m"], many)
    assert found[0] != found[1] == found[2]
    assert differences([{"a": "1"}, {"a": "1", "b": "2"}]) == {"b": [None, "2"]}
