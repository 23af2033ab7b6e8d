"""The report's section on success rates."""

from __future__ import annotations

from pathlib import Path

from support.run_folders import make_run

from mppi_zoo.analysis import report
from mppi_zoo.analysis.runs import load_runs
from mppi_zoo.analysis.success import success_section


def test_the_section_has_a_row_for_each_method_and_task(tmp_path: Path) -> None:
    for seed, rate in ((1, 0.5), (2, 1.0)):
        make_run(tmp_path / str(seed), seed, task="ep:MetaWorld/Reach-v3", success=rate)
    file = report.build([tmp_path], tmp_path / "page")
    text = file.read_text(encoding="utf-8")
    assert "Success rates" in text and "MetaWorld/Reach-v3" in text
    assert "75 %" in text and "25 %" in text


def test_without_rates_there_is_none(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    assert success_section(load_runs([tmp_path])) is None


def test_the_action_repeat_is_that_which_the_run_recorded(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", task="ep:WalkerWalk-v1")
    record = folder / "run.json"
    record.write_text(record.read_text().replace("{", '{"action_repeat": 2, ', 1))
    (run,) = load_runs([tmp_path]).runs
    assert run.action_repeat == 2 and run.place == ("envpool", "own", "WalkerWalk-v1")
