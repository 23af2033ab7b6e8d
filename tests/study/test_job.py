"""A job by itself: what submitit starts."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from mppi_zoo.study import journal
from mppi_zoo.study.file import read_study
from mppi_zoo.study.grid import expand
from mppi_zoo.study.job import STOPPED, Job
from mppi_zoo.study.state import PAUSED, read_state

STUDY = "members: [pompc_replay]\ntasks: ['toy:point']\ngin: [debug]\narguments: [--no-video]\n"


def test_a_run_asked_to_stop_while_it_starts_has_not_failed(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    (run,) = expand(read_study(tmp_path / "study.yaml"))
    before = signal.getsignal(signal.SIGTERM)

    def soon(*given: object) -> None:  # long before Python has imported what would listen
        Job._start(job, *given)  # pyright: ignore[reportArgumentType]
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()

    job = Job(tmp_path, [run], threads=1, retries=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "_start", soon)
        try:
            assert job() == {run.name: STOPPED}
        finally:
            signal.signal(signal.SIGTERM, before)
    ended = journal.read(tmp_path, run.name)[-1]
    assert (ended["event"], ended["code"], ended["again"]) == (journal.ENDED, STOPPED, False)
    assert read_state(tmp_path, run, lambda job: False).state == PAUSED
