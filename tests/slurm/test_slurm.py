"""Real studies on a real Slurm: ``make slurm``, or any cluster of one's own with two partitions.

``tests/slurm/cluster.py`` sets one up: a job in its partition ``high`` pre-empts those in ``low``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mppi_zoo import run
from mppi_zoo.study.file import read_study
from mppi_zoo.study.grid import expand

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PATIENCE = 240.0  # s, on a busy machine

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
        return f"no Slurm answers ({asked.stderr.strip()[:80]}); `make slurm` sets a cluster up"
    lacking = {"low", "high"} - set(asked.stdout.split())
    return f"this Slurm has no partition {', '.join(sorted(lacking))}" if lacking else ""


@pytest.fixture(scope="module", autouse=True)
def slurm() -> None:
    reason = unreachable()  # asked only when these tests were chosen
    if reason:
        pytest.skip(reason)


pytestmark = pytest.mark.slurm


class Study(NamedTuple):
    """A study's file and folder, and how it is submitted."""

    definition: Path
    out: Path
    options: tuple[str, ...]
    slow: float  # s an environment step takes on the cluster

    def give(self, *more: str) -> subprocess.CompletedProcess[str]:
        """The command that submits, again too."""
        return program(
            str(self.definition), "--out", str(self.out), *self.options, *more, slow=self.slow
        )

    def status(self) -> str:
        return program("status", str(self.out)).stdout

    def states(self) -> list[str]:
        """Of the runs, in the order of the table."""
        words = ("running", "queued", "waiting", "stopped", "interrupted", "failed", "done")
        cells = [line.split() for line in self.status().splitlines()]
        return [word for cell in cells for word in words if word in cell]

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

    def cancel(self) -> None:
        jobs = {event["job"].removeprefix("slurm:") for event in self.events("submitted")}
        subprocess.run(["scancel", *jobs], check=True)


def program(*arguments: str, slow: float = 0.0) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), str(HERE)])
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "SLOW_ENV_SECONDS": str(slow),
        "COLUMNS": "200",
    }
    return subprocess.run(
        [sys.executable, "-m", "mppi_zoo.study", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=False,
    )


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
                "\n".join([f"waited {PATIENCE:.0f} s for {what}", of.status(), queue, *logs])
            )
        time.sleep(poll)


def done(of: Study) -> bool:
    return len(of.events("ended")) > 0 and set(of.states()) == {"done"}


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """In the queue before the other tests, which it does not touch: its job outlives its limit.

    Slurm looks every 30 s whether a limit of one minute, less 45 s, is reached.
    """
    options = ("--partition", "high", "--signal-delay", "45", "--time", "1")
    begun = study(tmp_path_factory.mktemp("limit"), *options, steps=550, slow=0.1)
    assert "1 of 1 runs submitted" in begun.give().stdout
    return begun


@pytest.mark.usefixtures("limited")
def test_an_array_with_a_limit_packs_runs_and_is_not_submitted_twice(tmp_path: Path) -> None:
    options = ("--runs-per-job", "2", "--at-once", "1", "--gpus", "1", "--partition", "low")
    small = study(tmp_path, *options, lam="[0.1, '@Infinite()']", seeds=2)
    assert "4 of 4 runs submitted" in small.give().stdout
    assert "0 of 4 runs submitted" in small.give().stdout  # one job runs, one is pending
    assert set(small.states()) <= {"running", "queued"} and "queued" in small.states()
    told = small.give("--wait")
    assert told.returncode == 0 and "all 4 runs are done" in told.stdout, told
    jobs = [event["job"] for event in small.events("started")]
    assert len(jobs) == 4 and len(set(jobs)) == 2  # two processes a job, each run once
    assert {job.split("_")[-1] for job in jobs} == {"0", "1"}
    ends = {job: max(e["time"] for e in small.events("ended") if e["job"] == job) for job in jobs}
    second = min(e["time"] for e in small.events("started") if e["job"] == jobs[-1])
    assert second >= ends[jobs[0]]  # one job at a time
    results = undisturbed(small, tmp_path / "undisturbed")
    assert small.metrics() == results
    assert "0 of 4 runs submitted" in small.give().stdout  # finished ones are skipped
    assert small.metrics() == results


@pytest.mark.usefixtures("limited")
def test_a_preempted_job_is_requeued_and_its_run_resumed(tmp_path: Path) -> None:
    victim = study(tmp_path, "--partition", "low", steps=300, slow=0.1)
    assert "1 of 1 runs submitted" in victim.give().stdout
    wait_for("checkpoints", lambda: victim.checkpoints() >= 3, victim)
    cpus = subprocess.run(["sinfo", "-h", "-o%c"], capture_output=True, text=True).stdout.split()[0]
    intruder = ["--partition=high", f"--ntasks={int(cpus) - 1}", "--output=/dev/null"]
    subprocess.run(["sbatch", *intruder, "--wrap=sleep 3"], check=True, capture_output=True)
    wait_for("SIGTERM to arrive", lambda: victim.events("ended"), victim)
    (ended,) = victim.events("ended")
    assert ended["code"] == 75  # a checkpoint was written
    assert victim.states() == ["queued"]
    assert "0 of 1 runs submitted" in victim.give().stdout  # Slurm has it: it will come back
    wait_for("the requeued run to end", lambda: len(victim.events("ended")) > 1, victim)
    wait_for("the job to end", lambda: done(victim), victim)
    first, second = victim.events("started")
    assert first["job"] == second["job"]
    (log,) = victim.out.glob("logs/*")
    assert "stopped by SIGTERM at step" in log.read_text()
    assert victim.metrics() == undisturbed(victim, tmp_path / "undisturbed")


@pytest.mark.usefixtures("limited")
def test_a_failing_run_is_retried_and_reported(tmp_path: Path) -> None:
    failing = study(tmp_path, "--retries", "1", task="slow_env:Broken", steps=60)
    told = failing.give("--wait")
    assert told.returncode == 1, told
    assert "failed (exit code 3, 2 tries)" in told.stderr and "a bug of mine" in told.stderr
    assert failing.states()[0] == "failed" and "a bug of mine" in failing.status()
    assert [event["attempt"] for event in failing.events("started")] == [1, 2]
    assert "1 of 1 runs submitted" in failing.give().stdout  # the same command tries again
    failing.cancel()


@pytest.mark.usefixtures("limited")
def test_a_cancelled_job_stays_away_until_the_command_is_given_again(tmp_path: Path) -> None:
    cut = study(tmp_path, "--partition", "low", steps=150, slow=0.1)
    cut.give()
    wait_for("checkpoints", lambda: cut.checkpoints() >= 3, cut)
    cut.cancel()
    wait_for("the job to end", lambda: cut.states() == ["stopped"], cut)
    assert len(cut.events("started")) == 1
    told = cut.give("--wait")
    assert "1 of 1 runs submitted" in told.stdout and "all 1 runs are done" in told.stdout, told
    first, second = cut.events("started")
    assert first["job"] != second["job"]
    assert cut.metrics() == undisturbed(cut, tmp_path / "undisturbed")


def test_a_job_at_its_time_limit_is_requeued_and_its_run_resumed(
    limited: Study, tmp_path: Path
) -> None:
    wait_for("the time limit", lambda: limited.events("ended"), limited)
    assert limited.events("ended")[0]["code"] == 75
    wait_for("the run to end", lambda: done(limited), limited)
    starts = limited.events("started")
    assert len(starts) >= 2 and len({event["job"] for event in starts}) == 1
    (log,) = limited.out.glob("logs/*")
    assert "stopped by SIGUSR2 at step" in log.read_text()
    assert limited.metrics() == undisturbed(limited, tmp_path / "undisturbed")
