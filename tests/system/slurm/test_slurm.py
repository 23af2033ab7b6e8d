"""Real studies on a real Slurm: ``make slurm``, or any cluster of one's own with two partitions.

``tests/system/slurm/cluster.py`` sets one up: a job in its partition ``high`` pre-empts those in
``low``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mppi_zoo.cli import main as run
from mppi_zoo.study import commands, launching
from mppi_zoo.study.file import read_study
from mppi_zoo.study.grid import expand
from mppi_zoo.study.state import read_state

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PATIENCE = float(os.environ.get("SLURM_TEST_PATIENCE", 240))  # s; more on a busy machine

DEFINITION = """\
members: [pompc_adaptive_fkl]
tasks: ["{task}"]
gin: [debug]
grid: {{KLObjective.lam: {lam}}}
seeds: {seeds}
steps: {steps}
params: [TrainingOptions.checkpoint_minutes=0.02, TrainingOptions.log_every=10, eval_every=0]
arguments: [--no-video, --quiet, --device=cpu]
"""


def unreachable() -> str:
    """Why there is no Slurm for these tests; empty if there is."""
    if shutil.which("sbatch") is None:
        return "no Slurm: sbatch is not installed; `make slurm` sets a cluster up"
    asked = subprocess.run(
        ["sinfo", "--noheader", "--format=%R"], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        said = asked.stderr.strip().splitlines()[-1]
        return f"no Slurm answers ({said}); `make slurm` sets a cluster up"
    lacking = {"low", "high"} - set(asked.stdout.split())
    return f"this Slurm has no partition {', '.join(sorted(lacking))}" if lacking else ""


@pytest.fixture(scope="module", autouse=True)
def slurm() -> None:
    reason = unreachable()  # asked only when these tests were chosen
    if reason:
        pytest.skip(reason)


pytestmark = pytest.mark.slurm


class Answer(NamedTuple):
    """Of a command: exit code and what it printed."""

    code: int
    out: str
    err: str


class Study(NamedTuple):
    """A study's file and folder, and how it is submitted."""

    definition: Path
    out: Path
    options: tuple[str, ...]
    slow: float  # s an environment step takes on the cluster

    def give(self, *more: str) -> Answer:
        """The command that submits, again too."""
        return program(
            [str(self.definition), "--out", str(self.out), *self.options, *more], self.slow
        )

    def states(self) -> list[str]:
        """Of the runs, in order."""
        alive, runs = launching.alive(self.out), expand(read_study(self.definition))
        return [read_state(self.out, plan, alive).state for plan in runs]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Of all runs, in time."""
        lines = [
            line for path in self.out.glob("journal/*") for line in path.read_text().split("\n")
        ]
        found = [event for line in lines if line and (event := json.loads(line))["event"] == kind]
        return sorted(found, key=lambda event: event["time"])

    def checkpoints(self) -> int:
        """Number of the newest of all runs."""
        return max((int(path.stem) for path in self.out.glob("runs/*/state/*.json")), default=0)

    def metrics(self) -> dict[str, bytes]:
        return {path.parent.name: path.read_bytes() for path in self.out.glob("runs/*/metrics.csv")}

    def node(self) -> str:
        """That runs a study's only job."""
        job = self.events("submitted")[-1]["job"].removeprefix("slurm:")
        asked = ["squeue", "--noheader", f"--jobs={job}", "--format=%N"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()

    def limit(self, minutes: str) -> None:
        """Change the time limit of a study's only job, counted from its beginning."""
        job = self.events("submitted")[-1]["job"].removeprefix("slurm:")
        subprocess.run(["scontrol", "update", f"JobId={job}", f"TimeLimit={minutes}"], check=True)

    def cancel(self) -> None:
        jobs = {event["job"].removeprefix("slurm:") for event in self.events("submitted")}
        subprocess.run(["scancel", *jobs], check=True)


def program(arguments: list[str], slow: float = 0.0) -> Answer:
    """``python -m mppi_zoo.study``; Slurm gives its environment on to the jobs."""
    out, err = io.StringIO(), io.StringIO()
    path = os.pathsep.join([str(ROOT), str(HERE)])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setenv("PYTHONPATH", path)
        patch.setenv("SLOW_ENV_SECONDS", str(slow))
        patch.setenv("COLUMNS", "200")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            return Answer(commands.main(arguments), out.getvalue(), err.getvalue())


def study(
    folder: Path,
    *options: str,
    task: str = "slow_env:SlowPoint",
    lam: str = "[1.0]",
    seeds: int = 1,
    steps: int = 120,
    slow: float = 0.0,
) -> Study:
    folder.mkdir(exist_ok=True)
    definition = folder / "small.yaml"
    definition.write_text(DEFINITION.format(task=task, lam=lam, seeds=seeds, steps=steps))
    return Study(definition, folder / "study", ("--slurm", "--time", "30", *options), slow)


def undisturbed(of: Study, folder: Path) -> dict[str, bytes]:
    """What the runs of a study measure without study and scheduler."""
    results = {}
    for plan in expand(read_study(of.definition)):
        assert run.main([*plan.arguments, "--out", str(folder / plan.name)]) == 0
        results[plan.name] = (folder / plan.name / "metrics.csv").read_bytes()
    return results


def wait_for(what: str, condition: Callable[[], Any], of: Study, poll: float = 0.3) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            queue = subprocess.run(["squeue"], capture_output=True, text=True, check=False).stdout
            logs = [path.read_text()[-1500:] for path in of.out.glob("jobs/*.out")]
            pytest.fail(
                "\n".join([f"waited {PATIENCE:.0f} s for {what}", *of.states(), queue, *logs])
            )
        time.sleep(poll)


def done(of: Study) -> bool:
    return len(of.events("ended")) > 0 and set(of.states()) == {"done"}


def test_an_array_with_a_limit_packs_runs_and_is_not_submitted_twice(tmp_path: Path) -> None:
    options = ("--runs-per-job", "2", "--at-once", "1", "--gpus", "1", "--partition", "low")
    small = study(tmp_path, *options, lam="[0.1, '@Infinite()']", seeds=2)
    assert "4 of 4 runs submitted" in small.give().out
    assert "0 of 4 runs submitted" in small.give().out  # one job runs, one is pending
    assert set(small.states()) <= {"running", "queued"} and "queued" in small.states()
    told = small.give("--wait")
    assert told.code == 0 and "all 4 runs are done" in told.out, told
    jobs = [event["job"] for event in small.events("started")]
    assert len(jobs) == 4 and len(set(jobs)) == 2  # two processes a job, each run once
    assert {job.split("_")[-1] for job in jobs} == {"0", "1"}
    ends = {job: max(e["time"] for e in small.events("ended") if e["job"] == job) for job in jobs}
    second = min(e["time"] for e in small.events("started") if e["job"] == jobs[-1])
    assert second >= ends[jobs[0]]  # one job at a time
    results = undisturbed(small, tmp_path / "undisturbed")
    assert small.metrics() == results
    assert "0 of 4 runs submitted" in small.give().out  # finished ones are skipped
    assert small.metrics() == results


def test_a_preempted_job_is_requeued_and_its_run_resumed(tmp_path: Path) -> None:
    victim = study(tmp_path, "--partition", "low", steps=300, slow=0.1)
    assert "1 of 1 runs submitted" in victim.give().out
    wait_for("checkpoints", lambda: victim.checkpoints() >= 3, victim)
    intruder = [
        "--partition=high",
        "--exclusive",
        f"--nodelist={victim.node()}",
        "--output=/dev/null",
    ]
    subprocess.run(["sbatch", *intruder, "--wrap=sleep 3"], check=True, capture_output=True)
    wait_for("SIGTERM to arrive", lambda: victim.events("ended"), victim)
    (ended,) = victim.events("ended")
    assert ended["code"] == 75  # a checkpoint was written
    assert victim.states() == ["queued"]
    assert "0 of 1 runs submitted" in victim.give().out  # Slurm has it: it will come back
    wait_for("the requeued run to end", lambda: len(victim.events("ended")) > 1, victim)
    wait_for("the job to end", lambda: done(victim), victim)
    first, second = victim.events("started")
    assert first["job"] == second["job"]
    (log,) = victim.out.glob("logs/*")
    assert "stopped by SIGTERM at step" in log.read_text()
    assert victim.metrics() == undisturbed(victim, tmp_path / "undisturbed")


def test_a_failing_run_is_retried_and_reported(tmp_path: Path) -> None:
    failing = study(tmp_path, "--retries", "1", task="slow_env:Broken", steps=60)
    told = failing.give("--wait")
    assert told.code == 1, told
    assert "failed (exit code 3, 2 tries)" in told.err and "a bug of mine" in told.err
    assert (
        failing.states()[0] == "failed"
        and "a bug of mine" in program(["status", str(failing.out)]).out
    )
    assert [event["attempt"] for event in failing.events("started")] == [1, 2]
    assert "1 of 1 runs submitted" in failing.give().out  # the same command tries again
    failing.cancel()


def test_a_cancelled_job_stays_away_until_the_command_is_given_again(tmp_path: Path) -> None:
    cut = study(tmp_path, "--partition", "low", steps=150, slow=0.1)
    cut.give()
    wait_for("checkpoints", lambda: cut.checkpoints() >= 3, cut)
    cut.cancel()
    # Whether there is time for a checkpoint before SIGKILL is Slurm's KillWait, here 5 s.
    wait_for("the job to end", lambda: cut.states()[0] in ("stopped", "interrupted"), cut)
    assert len(cut.events("started")) == 1
    told = cut.give("--wait")
    assert "1 of 1 runs submitted" in told.out and "all 1 runs are done" in told.out, told
    first, second = cut.events("started")
    assert first["job"] != second["job"]
    assert cut.metrics() == undisturbed(cut, tmp_path / "undisturbed")


def test_a_job_at_its_time_limit_is_requeued_and_its_run_resumed(tmp_path: Path) -> None:
    cut = study(tmp_path, "--time", "2", "--signal-delay", "115", steps=500, slow=0.1)
    cut.give()
    cut.limit("60")  # until the run is well under way, however busy the machine
    wait_for("checkpoints", lambda: cut.checkpoints() >= 3, cut)
    cut.limit(str(int(time.time() - cut.events("submitted")[0]["time"]) // 60 + 2))
    wait_for("SIGUSR2 to arrive", lambda: cut.events("ended"), cut)
    assert cut.events("ended")[0]["code"] == 75
    wait_for("the job to be requeued", lambda: cut.states() == ["queued"], cut)
    cut.limit("60")
    wait_for("the run to end", lambda: done(cut), cut)
    first, second = cut.events("started")
    assert first["job"] == second["job"]
    (log,) = cut.out.glob("logs/*")
    assert "stopped by SIGUSR2 at step" in log.read_text()
    assert cut.metrics() == undisturbed(cut, tmp_path / "undisturbed")
