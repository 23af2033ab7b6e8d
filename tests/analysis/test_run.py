"""One bad run folder never stops a report: the page has the others, and says why not this one."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from support.run_folders import make_run

from mppi_zoo.analysis import report


def record(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "run.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def write(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_text(text)

    return change


def append(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with (folder / name).open("a") as file:
            file.write(text)

    return change


def without_numbers(folder: Path) -> None:
    path = folder / "metrics.csv"
    lines = [line.rpartition(",")[0] + ",nan" for line in path.read_text().splitlines()[1:]]
    path.write_text("step,split,metric,value\n" + "\n".join(lines) + "\n")


# What is spoilt, how, and what the page says: the run is left out.
LEFT_OUT: dict[str, tuple[Callable[[Path], None], str]] = {
    "a seed that is text": (record(seed="one"), "seed = 'one', expected an integer"),
    "a seed beyond all numbers": (record(seed=10**30), f"seed = {10**30}: below 2**63"),
    "git that is text": (record(git="abc"), "git = 'abc', expected an object or null"),
    "no versions": (record(versions=None), "versions = 'None', expected an object"),
    "a task that is a list": (record(task=["a"]), "task = \"['a']\", expected text"),
    "a command line that is a number": (record(command_line=3), "expected a list"),
    "a word among the metrics": (
        append("metrics.csv", "4000,eval,episode_return,much\n"),
        "holds 'much' as value, expected a number",
    ),
    "a step beyond all numbers": (
        append("metrics.csv", f"{10**30},eval,episode_return,1\n"),
        "as step, expected an integer of at least 0",
    ),
    "an action repeat that is a word": (
        append("config.gin", "EnvOptions.action_repeat = 'two'\n"),
        "expected an integer above 0",
    ),
    "a configuration that is none": (write("config.gin", "what is this"), "expected NAME = VALUE"),
    "sessions that are none": (write("sessions.jsonl", '{"versions": 3}\n'), "two versions"),
    "returns that are all NaN": (without_numbers, "values that are not finite are left out"),
}
# The run is shown, without what was spoilt.
SHOWN: dict[str, tuple[Callable[[Path], None], str]] = {
    "a word in timing.csv": (
        write("timing.csv", "step,metric,value\n1,plan_ms,fast\n"),
        "is shown without speeds: timing.csv, line 2 holds 'fast' as value",
    ),
    "a folder named as a film": (lambda f: (f / "videos" / "a.mp4").mkdir(parents=True), ""),
    "a return that is NaN": (
        append("metrics.csv", "3000,eval_policy,episode_return,nan\n"),
        "1 values that are not finite are left out, of eval_policy episode_return",
    ),
    "diagnostics that are all NaN": (
        append("metrics.csv", "3000,diagnostic,kl_to_prior,nan\n"),
        "",
    ),
    "a task that UTF-8 cannot write": (record(task="dmc:\ud800"), ""),
    "mathematics in a name": (record(member="$x^{"), ""),
}


def page_of(tmp_path: Path) -> str:
    assert report.main([str(tmp_path / "runs"), "--out", str(tmp_path / "page")]) == 0
    return unescape((tmp_path / "page" / "index.html").read_text())


def test_the_other_runs_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path / "runs" / "good", seed=1)
    (tmp_path / "runs" / "empty").mkdir()
    for number, (case, (spoil, _)) in enumerate({**LEFT_OUT, **SHOWN}.items(), 2):
        folder = make_run(tmp_path / "runs" / case.replace(" ", "_"), seed=number)
        spoil(folder)
    text = page_of(tmp_path)
    assert "<td>good</td>" in text and "no section" not in capsys.readouterr().err
    for case, (_, message) in {**LEFT_OUT, **SHOWN}.items():
        name = case.replace(" ", "_")
        assert message in text, case
        assert (f"<td>{name}</td>" in text) == (case in SHOWN), case
        assert (f"<li>{name}: " in text) == (case in LEFT_OUT or "left out" in message), case


def test_a_section_that_cannot_be_made_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def section(found: object) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(report, "speed_section", section)
    make_run(tmp_path / "runs" / "good")
    text = page_of(tmp_path)
    assert "This section could not be made: ZeroDivisionError: of all things" in text
    assert "no section 'Speed'" in capsys.readouterr().err and "Final scores" in text
