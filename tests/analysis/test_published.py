"""Published curves: known aggregates come out of the files, and traps are not walked into."""

# pandas annotates frame[mask] as a series and group keys as any scalar, which fails these checks:
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mppi_zoo import analysis
from mppi_zoo.analysis import HARD, MixedError, names, pick
from mppi_zoo.analysis.provenance import copies
from mppi_zoo.analysis.published import COPIES, FOLDER, SOURCES


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return analysis.load_published()


def mean(table: pd.DataFrame, step: int | None, tasks: tuple[str, ...] | None = None) -> float:
    found = analysis.mean_over_tasks(analysis.scores_at(table, step, "frames", tasks))
    assert len(found) == 1
    return float(found["value"].iloc[0])


@pytest.mark.parametrize(
    ("source", "algorithm", "step", "expected"),
    [
        ("bmpc_1M", "tdmpc2", 1_000_000, 568),
        ("bmpc_1M", "bmpc", 1_000_000, 807),
        ("tdmpc2", "tdmpc2", 1_000_000, 491),
        ("boom", "boom", 2_000_000, 878),
        ("dcmpc", "dcmpc", 1_000_000, 762),
        ("flashsac", "flashsac", 1_000_000, 836),
        ("flashsac", "xqc", 1_000_000, 759),
        ("flashsac", "simbav2", 1_000_000, 729),
        ("flashsac", "mrq", 1_000_000, 723),
        ("flashsac", "tdmpc2", 1_000_000, 491),
    ],
)
def test_seven_hard_tasks(
    published: pd.DataFrame, source: str, algorithm: str, step: int, expected: int
) -> None:
    rows = pick(published, source=source, algorithm=algorithm, benchmark="dmcontrol")
    assert round(mean(rows, step, HARD)) == expected


@pytest.mark.parametrize(("algorithm", "expected"), [("bmpc", 550), ("tdmpc2", 399)])
def test_humanoidbench_without_reach(
    published: pd.DataFrame, algorithm: str, expected: int
) -> None:
    rows = pick(published, source="bmpc_humanoidbench", algorithm=algorithm)
    rows = rows[rows["task"] != "reach"]
    assert rows["task"].nunique() == 13
    assert round(mean(rows, None)) == expected


def test_boom_on_seven_h1hand_tasks(published: pd.DataFrame) -> None:
    rows = pick(published, source="boom", robot="h1hand", algorithm="boom")
    assert rows["task"].nunique() == 7
    assert round(mean(rows, None)) == 821


@pytest.mark.parametrize(
    ("task", "tdmpc2", "flashsac"),
    [("Hopper-v4", 2081, 4064), ("Walker2d-v4", 3008, 7346), ("Humanoid-v4", 6071, 12606)],
)
def test_gymnasium_with_terminations(
    published: pd.DataFrame, task: str, tdmpc2: int, flashsac: int
) -> None:
    rows = pick(published, source="flashsac", benchmark="gym", task=task, frames=1_000_000)
    found = rows.set_index("algorithm")["value"].round()
    assert (found["tdmpc2"], found["flashsac"]) == (tdmpc2, flashsac)
    assert (rows["agent_step"] == rows["frames"]).all()  # no action repeat


def test_wall_times_belong_to_their_steps() -> None:
    rows = analysis.load_wall_times()
    assert rows["task"].nunique() == 14 and set(rows["robot"]) == {"h1hand"}
    for _, run in rows.groupby("task"):
        assert run["wall_seconds"].is_monotonic_increasing and run["frames"].is_monotonic_increasing
        speed = (run["frames"] / run["wall_seconds"]).iloc[1:]
        assert speed.max() / speed.min() < 2  # steps a second of one machine


def test_each_published_method_has_a_name_and_a_family(published: pd.DataFrame) -> None:
    assert set(published["algorithm"]) <= set(names.METHODS)
    planning = {"tdmpc", "tdmpc2", "tdmpc2_simba", "bmpc", "boom", "dcmpc"}
    others = set(published["algorithm"]) - planning - {"dreamerv3", "tdmpc2_released"}
    assert others - {"bmpc_released"} == names.MODEL_FREE


def test_one_method_differs_between_sources(published: pd.DataFrame) -> None:
    rows = pick(published, algorithm="tdmpc2", task="dog-walk", source=["bmpc_1M", "tdmpc2"])
    found = analysis.mean_over_tasks(analysis.scores_at(rows, 1_000_000, "frames"))
    assert dict(zip(found["source"], found["value"].round(), strict=True)) == {
        "bmpc_1M": 816,
        "tdmpc2": 494,
    }


def test_steps_have_both_units(published: pd.DataFrame) -> None:
    repeat = (published["frames"] / published["agent_step"]).where(published["agent_step"] > 0)
    by_benchmark = repeat.groupby(published["benchmark"]).agg(["min", "max"])
    assert by_benchmark.loc["dmcontrol"].tolist() == [2, 2]
    assert by_benchmark.loc["humanoidbench"].tolist() == [1, 1]
    laptop = pick(published, source="laptop", task="walker-walk", algorithm="tdmpc2_released")
    assert laptop.set_index("agent_step").loc[20_000, "value"] == pytest.approx(820, abs=1)


def test_robots_are_not_mixed(published: pd.DataFrame) -> None:
    rows = pick(published, benchmark="humanoidbench", algorithm="bmpc", task=["walk", "pole"])
    assert set(rows["robot"]) == {"h1hand", "unnamed"}
    for refuses in (
        lambda: analysis.scores_at(rows, None, "frames"),
        lambda: analysis.curves(rows, "frames"),
        lambda: analysis.mean_over_tasks(rows),
    ):
        with pytest.raises(MixedError, match="h1hand, unnamed"):
            refuses()


def test_benchmarks_are_not_averaged(published: pd.DataFrame) -> None:
    rows = pick(published, source="boom", algorithm="boom", frames=1_900_000)
    with pytest.raises(MixedError, match="benchmark is mixed: dmcontrol, humanoidbench"):
        analysis.mean_over_tasks(rows)


def test_a_mean_over_missing_tasks_is_refused(published: pd.DataFrame) -> None:
    rows = pick(published, source="tdmpc2", algorithm="dreamerv3")
    with pytest.raises(ValueError, match="dreamerv3 of tdmpc2 has no value .* dog-run"):
        analysis.scores_at(rows, 1_000_000, "frames", HARD)


def test_averages_are_not_bootstrapped(published: pd.DataFrame) -> None:
    rows = pick(published, source="boom", benchmark="dmcontrol", frames=1_000_000)
    with pytest.raises(MixedError, match="boom gives means over seeds"):
        analysis.estimates(rows)


def test_two_runs_under_one_seed_stay_two(published: pd.DataFrame) -> None:
    rows = pick(published, source="tdmpc2", algorithm="tdmpc", task="dog-run")
    assert rows["run"].nunique() == 5 and rows["seed"].nunique() == 3
    for _, run in rows.groupby("run"):
        assert run["frames"].is_monotonic_increasing and run["frames"].is_unique


def test_copies_are_found(published: pd.DataFrame) -> None:
    found = copies(pick(published, benchmark="dmcontrol"))
    pairs = set(found[["algorithm", "one", "other"]].itertuples(index=False, name=None))
    assert pairs == {
        ("tdmpc2", "boom", "tdmpc2"),
        ("tdmpc2", "flashsac", "tdmpc2"),
        ("tdmpc2", "boom", "flashsac"),
        ("sac", "bmpc_1M", "tdmpc2"),
        ("tdmpc2", "bmpc_1M", "bmpc_4M"),
        ("bmpc", "bmpc_1M", "bmpc_4M"),
    }


def test_each_copy_is_known_and_shown_once(published: pd.DataFrame) -> None:
    hard = pick(published, benchmark="dmcontrol")
    found = copies(hard)
    between_files = found[found["one"] != "bmpc_1M"]
    assert {"boom", "flashsac"} >= set(between_files["one"])
    once = analysis.without_copies(hard)
    left = copies(once)  # BMPC's two files of one release alone
    assert set(left["one"]) == {"bmpc_1M"} and set(left["other"]) == {"bmpc_4M"}
    dropped = set(hard[["source", "algorithm"]].itertuples(index=False, name=None)) - set(
        once[["source", "algorithm"]].itertuples(index=False, name=None)
    )
    assert dropped == set(COPIES)


def test_every_source_is_carried_and_named(published: pd.DataFrame) -> None:
    assert set(published["source"]) == set(SOURCES)
    readme = (FOLDER / "README.md").read_text()
    for source in SOURCES.values():
        assert source.file in readme


def test_unknown_source_and_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no source td-mpc2; there are tdmpc2, bmpc_1M"):
        analysis.load_published(["td-mpc2"])
    with pytest.raises(FileNotFoundError, match="come with the repository"):
        analysis.load_published(["boom"], folder=tmp_path)
