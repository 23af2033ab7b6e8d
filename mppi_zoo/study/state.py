"""The state of each run of a study, read from its journal and its run folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from mppi_zoo.runs import folder as run_folder
from mppi_zoo.runs import reader
from mppi_zoo.runs.lock import in_use
from mppi_zoo.study import journal
from mppi_zoo.study.grid import RunPlan
from mppi_zoo.study.job import DONE, STOPPED

WAITING, QUEUED, RUNNING = "waiting", "queued", "running"
INTERRUPTED, PAUSED, FAILED, FINISHED = "interrupted", "stopped", "failed", "done"
PRUNED = "pruned"  # given up by a search
STATES = (RUNNING, QUEUED, WAITING, PAUSED, INTERRUPTED, FAILED, PRUNED, FINISHED)
TO_START = (WAITING, PAUSED, INTERRUPTED, FAILED)
OVER = (PRUNED, FINISHED)


class RunState(NamedTuple):
    """The present state of one run.

    Attributes:
        run: the run.
        state: one of ``STATES``.
        step: last agent step in ``metrics.csv``.
        speed: last agent steps/s in ``timing.csv``; None if there is none.
        eval_return: return of the last evaluation; None before the first.
        eval_success: its success rate; None where the environment does not say.
        attempts: how often its process was started.
        code: exit code of the last process that ended.
        tail: last lines of a failed run's log.
    """

    run: RunPlan
    state: str
    step: int = 0
    speed: float | None = None
    eval_return: float | None = None
    attempts: int = 0
    code: int | None = None
    tail: tuple[str, ...] = ()
    eval_success: float | None = None


def read_state(study: Path, run: RunPlan, alive: Callable[[str], bool]) -> RunState:
    """The state of one run.

    Args:
        study: the study's folder.
        run: the run.
        alive: tells whether a job, named as in the journal, is pending or running.
    """
    events = journal.read(study, run.name)
    folder = study / "runs" / run.name
    own = [event for event in events if event["event"] != journal.PRUNED]
    state = _state(_latest(own), folder, run, alive)
    if len(own) < len(events) and state not in (RUNNING, FINISHED):
        state = PRUNED
    step, speed, evaluated = _progress(study, Path("runs") / run.name)
    ended = next((event for event in reversed(events) if event["event"] == journal.ENDED), {})
    tail = ended.get("tail")
    return RunState(
        run,
        state,
        step,
        speed,
        evaluated.get("episode_return"),
        sum(event["event"] == journal.STARTED for event in events),
        ended.get("code"),
        tuple(map(str, tail)) if state == FAILED and isinstance(tail, list) else (),
        evaluated.get("success_rate"),
    )


def _latest(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The last event that determines the state.

    Two events are passed over: a submission that was noted after its job had begun, and the end of
    a job after a newer job had begun, unless the run was finished by then.
    """
    begun = [event["job"] for event in events if event["event"] == journal.STARTED]
    for event in reversed(events):
        late = event["event"] == journal.SUBMITTED and event["job"] in begun
        foreign = event["event"] == journal.ENDED and [event["job"]] != begun[-1:]
        foreign = foreign and event["code"] != DONE
        if not (late or foreign):
            return event
    return {"event": ""}


def _state(last: dict[str, Any], folder: Path, run: RunPlan, alive: Callable[[str], bool]) -> str:
    event = last["event"]
    if event == journal.SUBMITTED:
        return QUEUED if alive(last["job"]) else WAITING
    if event == journal.STARTED:
        return RUNNING if in_use(folder) or alive(last["job"]) else INTERRUPTED
    if event == journal.ENDED:
        if last["code"] == DONE:
            there = (folder / run_folder.RUN_FILE).is_file()
            return FINISHED if there and last["steps"] >= run.steps else WAITING
        if last["code"] == STOPPED:  # Slurm requeues the job, which then goes on with the run
            return QUEUED if last["job"].startswith("slurm:") and alive(last["job"]) else PAUSED
        return RUNNING if last["again"] and alive(last["job"]) else FAILED
    return WAITING


def _progress(study: Path, run: Path) -> tuple[int, float | None, dict[str, float | None]]:
    """Step, steps/s and the last evaluation's metrics, from the ends of the two CSV files."""
    step, speed, evaluated = 0, None, {}
    for line in reader.last_lines(study, run / "metrics.csv", 400):
        fields = line.split(",")
        if len(fields) != 4 or not fields[0].isdigit():
            continue
        step = int(fields[0])
        if fields[1] == "eval":
            evaluated[fields[2]] = _number(fields[3])
    for line in reader.last_lines(study, run / "timing.csv", 50):
        fields = line.split(",")
        if len(fields) == 3 and fields[1] == "steps_per_second":
            speed = _number(fields[2])
    return step, speed, evaluated


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # an incomplete line
        return None
