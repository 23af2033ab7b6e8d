"""A study on a Slurm cluster: an array of jobs through submitit, each with one or more runs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import submitit

from mppi_zoo.study import journal
from mppi_zoo.study.grid import RunPlan
from mppi_zoo.study.job import Job
from mppi_zoo.study.state import TO_START, RunState, read_state

# Requeues at the time limit before submitit gives up a job; the same command then goes on.
TIME_LIMITS = 1000


def queue() -> frozenset[str]:
    """The jobs that are pending or running, named as in the journal, by one call of squeue.

    Raises:
        ValueError: Slurm is not installed here, or does not answer.
    """
    if shutil.which("squeue") is None:
        raise ValueError("there is no squeue here: run this on a machine of the Slurm cluster")
    command = ["squeue", "--noheader", "--array", "--me", "--format=%i"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise ValueError(f"squeue failed: {done.stderr.strip()}")
    return frozenset(f"slurm:{job}" for job in done.stdout.split())


class SlurmLauncher:
    """Submits the runs that are unfinished and not yet in the queue.

    Args:
        study: the study's folder, on a file system that the nodes share.
        runs: all runs of the study.
        threads: CPU threads of one run.
        retries, force: see :class:`Job`.
        runs_per_job: how many runs share one allocation and its GPUs.
        parameters: parameters of the jobs in submitit's names: ``slurm_partition``, ...
    """

    def __init__(
        self,
        study: Path,
        runs: Sequence[RunPlan],
        *,
        threads: int,
        retries: int,
        runs_per_job: int,
        parameters: Mapping[str, Any],
        force: bool = False,
    ):
        if runs_per_job < 1:
            raise ValueError(f"--runs-per-job {runs_per_job}: expected at least 1")
        self.study, self.runs, self.runs_per_job = study.resolve(), list(runs), runs_per_job
        self._options = {"threads": threads, "retries": retries, "force": force, "stays": True}
        try:
            self._executor = submitit.AutoExecutor(
                study / "jobs", cluster="slurm", slurm_max_num_timeout=TIME_LIMITS
            )
            self._executor.update_parameters(
                cpus_per_task=threads * runs_per_job, stderr_to_stdout=True, **parameters
            )
        except (RuntimeError, NameError, TypeError) as error:
            raise ValueError(f"--slurm: {error}") from error

    def states(self) -> list[RunState]:
        """The states of all runs, in order."""
        queued = queue()
        return [read_state(self.study, run, queued.__contains__) for run in self.runs]

    def submit(self) -> list[str]:
        """Submit one array of jobs for all runs that must be started.

        Returns:
            The names of the runs submitted.
        """
        runs = [state.run for state in self.states() if state.state in TO_START]
        packs = [runs[i : i + self.runs_per_job] for i in range(0, len(runs), self.runs_per_job)]
        if not packs:
            return []
        with self._executor.batch():
            jobs = [self._executor.submit(Job(self.study, p, **self._options)) for p in packs]
        for job, pack in zip(jobs, packs, strict=True):
            for run in pack:
                journal.note(self.study, run.name, journal.SUBMITTED, job=f"slurm:{job.job_id}")
        return [run.name for run in runs]
