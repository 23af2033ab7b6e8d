"""What the journal says of a run, also where it is out of order, and how it is shown."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mppi_zoo.runs.lock import in_use, locked
from mppi_zoo.study import journal
from mppi_zoo.study.grid import RunPlan
from mppi_zoo.study.state import RunState, read_state
from mppi_zoo.study.table import Display, failures, summary, table

RUN = RunPlan("run", (), 100, (), ())


def told(tmp_path, *events, alive=(), files=("run.json",)) -> RunState:
    for name, facts in events:
        journal.note(tmp_path, "run", name, **{"job": "local:1", "steps": 100, **facts})
    folder = tmp_path / "runs" / "run"
    folder.mkdir(parents=True, exist_ok=True)
    for name in files:
        (folder / name).touch()
    return read_state(tmp_path, RUN, alive.__contains__)


SUBMITTED, STARTED, ENDED = journal.SUBMITTED, journal.STARTED, journal.ENDED
DONE = (ENDED, {"code": 0, "again": False})
STOP = (ENDED, {"code": 75, "again": False})
FAIL = (ENDED, {"code": 3, "again": False, "tail": ["the last line"]})
SLURM = {"job": "slurm:7_0"}


@pytest.mark.parametrize(
    ("events", "alive", "state"),
    [
        ([], [], "waiting"),
        ([(SUBMITTED, SLURM)], ["slurm:7_0"], "queued"),
        ([(SUBMITTED, SLURM)], [], "waiting"),
        ([(STARTED, {})], ["local:1"], "running"),
        ([(STARTED, {})], [], "interrupted"),
        ([(STARTED, {}), DONE], [], "done"),
        ([(STARTED, {}), (ENDED, {"code": 0, "again": False, "steps": 50})], [], "waiting"),
        ([(STARTED, {}), STOP], ["local:1"], "stopped"),
        ([(STARTED, SLURM), (ENDED, {"code": 75, "again": False, **SLURM})], [], "stopped"),
        (
            [(STARTED, SLURM), (ENDED, {"code": 75, "again": False, **SLURM})],
            ["slurm:7_0"],
            "queued",
        ),
        ([(STARTED, {}), FAIL], [], "failed"),
        ([(STARTED, {}), (ENDED, {"code": 3, "again": True})], ["local:1"], "running"),
        ([(STARTED, SLURM), (SUBMITTED, SLURM)], ["slurm:7_0"], "running"),
        ([(STARTED, {}), (STARTED, {"job": "local:2"}), FAIL], ["local:2"], "running"),
        ([(STARTED, {}), (STARTED, {"job": "local:2"}), DONE], [], "done"),
    ],
)
def test_states(tmp_path, events, alive, state) -> None:
    assert told(tmp_path, *events, alive=alive).state == state


def test_a_finished_run_whose_folder_is_gone_waits(tmp_path) -> None:
    assert told(tmp_path, (STARTED, {}), DONE, files=()).state == "waiting"


def test_a_run_whose_process_outlived_its_job_is_running(tmp_path) -> None:
    folder = tmp_path / "runs" / "run"
    folder.mkdir(parents=True)
    with locked(folder):
        assert told(tmp_path, (STARTED, {})).state == "running"
        assert in_use(folder)
    assert told(tmp_path).state == "interrupted"
    assert not in_use(folder) and not in_use(tmp_path / "nowhere")


def test_progress_is_read_from_the_tables(tmp_path) -> None:
    folder = tmp_path / "runs" / "run"
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text(
        "step,split,metric,value\n40,eval,episode_return,12.5\n50,train,episode_return,3\n60,ev"
    )
    (folder / "timing.csv").write_text(
        "step,metric,value\n50,steps_per_second,21.5\n50,plan_ms,1\n"
    )
    state = told(tmp_path, (STARTED, {}))
    assert (state.step, state.eval_return, state.speed) == (50, 12.5, 21.5)


def test_failures_show_code_and_log(tmp_path) -> None:
    text = failures([told(tmp_path, (STARTED, {}), FAIL)])
    assert "run failed (exit code 3, 1 tries)" in text and "the last line" in text
    killed = RunState(RUN, "failed", code=-9, attempts=3)
    assert "signal 9, 3 tries" in failures([killed]) and "log is empty" in failures([killed])
    assert failures([RunState(RUN, "done")]) == ""


def test_the_summary_counts_finished_runs_whole() -> None:
    states = [RunState(RUN, "done", step=98), RunState(RUN, "running", step=20)]
    assert summary(states) == "1 running, 1 done; 60 % of all steps"


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
    assert "failed" in stream.getvalue()
