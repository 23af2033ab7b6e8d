"""A study on one machine, through submitit: as many runs at a time as there are places for runs."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import submitit

from mppi_zoo.compute.threads import usable_cores
from mppi_zoo.runs.signals import Interrupted, StopSignals
from mppi_zoo.study import journal
from mppi_zoo.study.grid import RunPlan
from mppi_zoo.study.job import STOPPED, Job, is_alive, local_job
from mppi_zoo.study.search import Searcher
from mppi_zoo.study.state import FAILED, OVER, RUNNING, RunState, read_state

POLL = 0.5  # s
YEAR = 365 * 24 * 60  # minutes


class Room(NamedTuple):
    """A place for one run at a time.

    Attributes:
        device: the value of CUDA_VISIBLE_DEVICES there; empty: no GPU.
    """

    device: str = ""


def rooms(parallel: int | None, gpus: Sequence[str], runs_per_gpu: int) -> list[Room]:
    """The places for runs: ``runs_per_gpu`` on each GPU, or without GPUs one on each CPU core.

    Args:
        parallel: how many places there are in all; None: as above.
        gpus: the GPUs to use; none: the CPU.
        runs_per_gpu: how many runs share a GPU.

    Raises:
        ValueError: a count is below 1.
    """
    for name, value in (("--parallel", parallel), ("--runs-per-gpu", runs_per_gpu)):
        if value is not None and value < 1:
            raise ValueError(f"{name} {value}: expected at least 1")
    if not gpus:
        return [Room()] * (parallel or usable_cores())
    # the GPUs in turn, so that few runs are spread over all GPUs
    dealt = [Room(gpu) for _ in range(runs_per_gpu) for gpu in gpus]
    return dealt if parallel is None else [dealt[i % len(dealt)] for i in range(parallel)]


class LocalLauncher:
    """Runs a study on this machine until all its runs have ended.

    Args:
        study: the study's folder.
        runs: all runs, in the order in which they begin.
        places: see :func:`rooms`.
        threads: CPU threads of one run.
        retries, force: see :class:`Job`.
        segment_minutes: time after which a run stops and others take their turn; 0: never.
    """

    def __init__(
        self,
        study: Path,
        runs: Sequence[RunPlan],
        places: Sequence[Room],
        *,
        threads: int,
        retries: int,
        force: bool = False,
        segment_minutes: float = 0.0,
    ):
        self.study, self.runs, self.places = study, list(runs), list(places)
        self._options = {"threads": threads, "retries": retries, "force": force}
        self._options["minutes"] = segment_minutes
        self._executor = submitit.LocalExecutor(study / "jobs")
        self._executor.update_parameters(timeout_min=YEAR, stderr_to_stdout=True)
        self._active: dict[str, tuple[submitit.Job[dict[str, int]], Room]] = {}

    def alive(self, job: str) -> bool:
        """Whether a job of this launcher or an earlier one, named as in the journal, still runs."""
        own = {local_job(active.job_id): active for active, _ in self._active.values()}
        return not own[job].done() if job in own else is_alive(job, self.study)

    def states(self) -> list[RunState]:
        """The states of all runs, in order."""
        return [read_state(self.study, run, self.alive) for run in self.runs]

    def run(
        self,
        show: Callable[[list[RunState]], None],
        minutes: float = 0.0,
        search: Searcher | None = None,
    ) -> list[RunState]:
        """Start the unfinished runs and wait for them.

        If another launcher has started a run, wait for it; start it again if it ends unfinished.

        Args:
            show: called with all states about twice a second.
            minutes: time after which all runs are stopped, with a checkpoint; 0: never.
            search: says which further runs to begin and which to stop.

        Returns:
            The states at the end.

        Raises:
            Interrupted: by a signal or the limit; all runs are stopped.
            ValueError: as the search; all runs are stopped.
        """
        begun = time.monotonic()
        self.runs += [] if search is None else search.runs
        waiting = deque(state.run for state in self.states() if state.state not in OVER)
        free = list(self.places)
        with StopSignals() as stop:
            try:
                while True:
                    stop.check()
                    if minutes and time.monotonic() - begun > 60 * minutes:
                        raise Interrupted(f"the study's limit of {minutes:g} minutes")
                    self._collect(waiting, free)
                    if search is not None:
                        self._steer(search, waiting, len(free) - len(waiting))
                    if not (waiting or self._active):
                        break
                    self._fill(waiting, free)
                    show(self.states())
                    time.sleep(POLL)
            except (Interrupted, ValueError):
                self._stop_all()
                show(self.states())
                raise
        return self.states()

    def _steer(self, search: Searcher, waiting: deque[RunPlan], idle: int) -> None:
        steps = search(self.states(), idle)
        for name in steps.stop:
            self._stop(name)
        self.runs += steps.begin
        waiting += steps.begin

    def _fill(self, waiting: deque[RunPlan], free: list[Room]) -> None:
        for _ in range(len(waiting)):
            if not free:
                return
            run = waiting.popleft()
            state = read_state(self.study, run, self.alive).state
            if state == RUNNING:  # of another launcher, or of one that was killed
                waiting.append(run)
            elif state not in OVER:
                self._start(run, free.pop(0))

    def _start(self, run: RunPlan, place: Room) -> None:
        job = Job(self.study, [run], devices=[place.device], **self._options)
        # A terminal sends Ctrl-C to all its processes. The job must ignore it: this launcher stops
        # its jobs itself.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._active[run.name] = self._executor.submit(job), place
        finally:
            signal.signal(signal.SIGINT, before)

    def _collect(self, waiting: deque[RunPlan], free: list[Room]) -> None:
        for run in self.runs:
            job, place = self._active.get(run.name, (None, None))
            if job is None or place is None or not job.done():
                continue
            del self._active[run.name]
            free.append(place)
            if read_state(self.study, run, self.alive).code == STOPPED:  # its segment is over
                waiting.append(run)

    def _stop(self, name: str) -> None:
        """Ask the job of one run to stop it, also if another launcher has started the job."""
        begun = [e["job"] for e in journal.read(self.study, name) if e["event"] == journal.STARTED]
        if name in self._active:  # its process may not have noted that it started
            begun.append(local_job(self._active[name][0].job_id))
        if begun and self.alive(begun[-1]):
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(int(begun[-1].rpartition(":")[2]), signal.SIGTERM)

    def _stop_all(self) -> None:
        for job, _ in self._active.values():
            os.kill(int(job.job_id), signal.SIGTERM)
        for job, _ in self._active.values():
            while not job.done():
                time.sleep(0.1)
        self._active.clear()


def failed(states: Sequence[RunState]) -> list[RunState]:
    """The runs that failed and are not tried again."""
    return [state for state in states if state.state == FAILED]
