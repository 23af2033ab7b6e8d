"""What the journal says of a run, also where it is out of order."""

from __future__ import annotations

import pytest

from mppi_zoo.runs.lock import in_use, locked
from mppi_zoo.study import journal
from mppi_zoo.study.grid import RunPlan
from mppi_zoo.study.state import RunState, read_state

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
        "step,split,metric,value\n40,eval,episode_return,12.5\n40,eval,success_rate,0.75\n50,train,episode_return,3\n60,ev"
    )
    (folder / "timing.csv").write_text(
        "step,metric,value\n50,steps_per_second,21.5\n50,plan_ms,1\n"
    )
    state = told(tmp_path, (STARTED, {}))
    assert (state.step, state.eval_return, state.speed) == (50, 12.5, 21.5)
    assert state.eval_success == 0.75


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"event": "ended", "job": "local:1", "code": 3}', "has steps = 'None', expected int"),
        ('{"event": "started", "job": 3}', "has job = '3', expected str"),
        ('{"event": "over"}', "has event = 'over'"),
        ("[]", "holds a JSON list"),
    ],
)
def test_a_faulty_journal_is_refused(tmp_path, line: str, message: str) -> None:
    path = journal.journal_file(tmp_path, "run")
    path.parent.mkdir()
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=f"line 1 of .*{message}"):
        journal.read(tmp_path, "run")
