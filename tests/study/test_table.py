"""How the states of a study's runs are shown."""

from __future__ import annotations

import io

from rich.console import Console

from mppi_zoo.study import journal
from mppi_zoo.study.grid import RunPlan
from mppi_zoo.study.state import RunState, read_state
from mppi_zoo.study.table import Display, failures, summary, table

RUN = RunPlan("run", (), 100, (), ())


def test_failures_show_code_and_log(tmp_path) -> None:
    job = {"job": "local:1", "steps": 100}
    journal.note(tmp_path, "run", journal.STARTED, **job)
    journal.note(tmp_path, "run", journal.ENDED, code=3, again=False, tail=["the last line"], **job)
    (tmp_path / "runs" / "run").mkdir(parents=True)
    (tmp_path / "runs" / "run" / "run.json").touch()
    text = failures([read_state(tmp_path, RUN, lambda job: False)])
    assert "run failed (exit code 3, 1 tries)" in text and "the last line" in text
    killed = RunState(RUN, "failed", code=-9, attempts=3)
    assert "signal 9, 3 tries" in failures([killed]) and "log is empty" in failures([killed])
    assert failures([RunState(RUN, "done")]) == ""


def test_the_summary_counts_finished_runs_whole() -> None:
    states = [RunState(RUN, "done", step=98), RunState(RUN, "running", step=20)]
    assert summary(states) == "1 running, 1 done; 60 % of their steps"


def test_a_log_gets_a_line_for_each_change() -> None:
    stream = io.StringIO()
    display = Display(Console(file=stream))
    with display:
        display([RunState(RUN, "waiting")])
        display([RunState(RUN, "running")])
        display([RunState(RUN, "running", step=50)])
        display([RunState(RUN, "done", step=100, eval_return=7.0)])
    lines = stream.getvalue().splitlines()
    assert [line for line in lines if ":" in line] == ["running: run", "done: run, return 7.0"]


def test_a_terminal_gets_a_table() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100)
    with Display(console) as display:
        display([RunState(RUN, "running", step=50, speed=2.0, eval_return=7.0, attempts=1)])
    assert "running" in stream.getvalue() and "7.0" in stream.getvalue()
    console.print(table([RunState(RUN, "failed")]))
    assert "failed" in stream.getvalue() and "success" not in stream.getvalue()
    console.print(table([RunState(RUN, "done", eval_return=7.0, eval_success=0.75)]))
    assert "success" in stream.getvalue() and "75 %" in stream.getvalue()
