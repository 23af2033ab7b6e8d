"""The job that submitit starts: one or more runs, each a process of ``mppi_zoo.run``."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
from submitit.helpers import DelayedSubmission

from mppi_zoo.runs import reader
from mppi_zoo.runs.lock import in_use
from mppi_zoo.runs.outcome import DONE, REFUSED, STOPPED
from mppi_zoo.runs.signals import STOP_SIGNALS
from mppi_zoo.study import journal
from mppi_zoo.study.grid import RunPlan

# Exit codes of mppi_zoo.run after which a run is not started again.
FINAL = (DONE, REFUSED, STOPPED)

# Exit codes of a process that a stop signal ended before its handler was installed, or that a
# second stop signal ended.
ASKING = [getattr(signal, name) for name in STOP_SIGNALS if hasattr(signal, name)]
UNHEARD = frozenset(code for number in ASKING for code in (-number, 128 + number))

POLL = 0.2  # s
TAIL = 15  # lines of a log that a failure shows
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Job:
    """Runs of a study that start together; the job ends when all have ended.

    Args:
        study: the study's folder.
        runs: the runs; each goes on from its newest checkpoint if it has one.
        threads: CPU threads of each run.
        retries: how often a run that fails is started again, from its newest checkpoint.
        devices: values of CUDA_VISIBLE_DEVICES, given to the runs in turn; None: the devices of the
            allocation.
        minutes: time after which all runs write a checkpoint and stop, counted from when the first
            run has begun; 0: never.
        force: whether runs go on although their configuration was changed.
        stays: whether the job, after it was stopped by a signal, waits until it is ended. Slurm
            requeues a pre-empted job that it ends itself, but not one that ends by itself.
    """

    def __init__(
        self,
        study: Path,
        runs: Sequence[RunPlan],
        *,
        threads: int,
        retries: int,
        devices: Sequence[str] | None = None,
        minutes: float = 0.0,
        force: bool = False,
        stays: bool = False,
    ):
        self.study, self.runs = study, tuple(runs)
        self.threads, self.retries, self.minutes, self.stays = threads, retries, minutes, stays
        self.devices, self.force = devices, force
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping = False

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_processes": {}, "_stopping": False}

    def __call__(self) -> dict[str, int]:
        """Run the runs; returns the exit code of each by name."""
        # start all runs
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._pass_on)
        begun: float | None = None
        attempts = dict.fromkeys((run.name for run in self.runs), 1)
        codes: dict[str, int] = {}
        for number, run in enumerate(self.runs):
            self._start(run, number, 1)
        # watch them: stop them in time, note their ends, start failed ones again
        while self._processes:
            time.sleep(POLL)
            if self.minutes and begun is None and self._any_in_use():
                begun = time.monotonic()  # counted from here, each run makes at least some steps
            if begun is not None and time.monotonic() - begun > 60 * self.minutes:
                self.stop(signal.SIGTERM)
            for number, run in enumerate(self.runs):
                code = self._ended(run.name)
                if code is None:
                    continue
                again = code not in FINAL and not self._stopping
                again = again and attempts[run.name] <= self.retries
                self._note_end(run, code, attempts[run.name], again)
                if again:
                    attempts[run.name] += 1
                    self._start(run, number, attempts[run.name])
                else:
                    codes[run.name] = code
        if self.stays and self._stopping and STOPPED in codes.values():
            time.sleep(3600)  # until Slurm ends the job
        return codes

    def checkpoint(self) -> DelayedSubmission:
        """Called by submitit shortly before the time limit: stop the runs and requeue the job."""
        self.stop(signal.SIGUSR2)
        for run in self.runs:
            process = self._processes.get(run.name)
            if process is not None:
                self._note_end(run, self._meaning(process.wait()), 0, False)
        self._processes.clear()
        return DelayedSubmission(self)

    def stop(self, number: int) -> None:
        """Ask all runs to write a checkpoint and end; further calls do nothing."""
        if self._stopping:
            return
        self._stopping = True
        for process in self._processes.values():
            process.send_signal(number)

    def _any_in_use(self) -> bool:
        return any(in_use(self.study / "runs" / run.name) for run in self.runs)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self.stop(number)

    def _start(self, run: RunPlan, number: int, attempt: int) -> None:
        folder, log = self.study / "runs" / run.name, log_file(self.study, run.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-u", "-m", "mppi_zoo.run", *run.arguments]
        command += ["--out", str(folder), "--continue", *(["--force"] if self.force else [])]
        journal.note(
            self.study, run.name, journal.STARTED, job=job_id(), attempt=attempt, steps=run.steps
        )
        with log.open("ab") as output:
            self._processes[run.name] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment(number),
                start_new_session=True,  # so that a terminal's Ctrl-C reaches the launcher only
            )
        if self._stopping:  # asked while the process was being made
            self._processes[run.name].send_signal(signal.SIGTERM)

    def _environment(self, number: int) -> dict[str, str]:
        environment = {**os.environ, **dict.fromkeys(THREADS, str(self.threads))}
        devices = self.devices
        if devices is None:
            devices = [d for d in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if d]
        if devices:
            environment["CUDA_VISIBLE_DEVICES"] = devices[number % len(devices)]
        return environment

    def _ended(self, name: str) -> int | None:
        process = self._processes.get(name)
        code = None if process is None else process.poll()
        if code is None:
            return None
        del self._processes[name]
        return self._meaning(code)

    def _meaning(self, code: int) -> int:
        """The exit code, where a run that was ended before its handler was ready is "stopped"."""
        return STOPPED if self._stopping and code in UNHEARD else code

    def _note_end(self, run: RunPlan, code: int, attempt: int, again: bool) -> None:
        log = log_file(Path(), run.name)
        tail = [] if code in (DONE, STOPPED) else reader.last_lines(self.study, log, TAIL)
        facts = {"job": job_id(), "attempt": attempt, "steps": run.steps, "again": again}
        journal.note(self.study, run.name, journal.ENDED, code=code, tail=tail, **facts)


def job_id() -> str:
    """The name in the journal of the job that this process belongs to."""
    array, element = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    if os.environ.get("SUBMITIT_EXECUTOR") == "slurm" or "SLURM_JOB_ID" in os.environ:
        single = os.environ.get("SLURM_JOB_ID", "")
        return f"slurm:{array}_{element}" if array else f"slurm:{single}"
    return local_job(os.environ.get("SUBMITIT_LOCAL_JOB_ID", os.getpid()))


def local_job(process: int | str) -> str:
    """The name in the journal of a job that submitit runs on this machine."""
    return f"local:{platform.node()}:{process}"


def is_alive(job: str, study: Path) -> bool:
    """Whether a job of this machine, named as in the journal, is still running."""
    host, _, process = job.removeprefix("local:").rpartition(":")
    if host != platform.node() or not process.isdigit():
        return False
    try:  # the number may by now belong to another program
        words = psutil.Process(int(process)).cmdline()
    except psutil.Error:
        return False
    return any(Path(word).resolve() == (study / "jobs").resolve() for word in words[1:])


def log_file(study: Path, run: str) -> Path:
    """The file with the output of a run, all attempts one after another."""
    return study / "logs" / f"{run}.log"
