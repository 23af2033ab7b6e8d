"""Signals that stop a run: the first one after the current step, a second one at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

# SIGTERM: Slurm's pre-emption, kill, container runtimes. SIGUSR1 and SIGUSR2: what
# `sbatch --signal` and submitit send some time before the limit. SIGINT: the keyboard.
STOP_SIGNALS = ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2")

# s; the same signal again within this time counts as the first one: a scheduler signals every
# process of a job, and the job's launcher sends the signal on, so that it may arrive twice.
SAME = 1.0


class Interrupted(Exception):
    """A signal asked the run to stop; raised between steps, never in the middle of an update."""


class StopSignals:
    """While entered, notes the first stop signal in ``received``; a second one ends the process.

    Outside the main thread, where no handler can be installed, nothing is ever received.
    """

    def __init__(self) -> None:
        self.received = ""  # name of the signal
        self._when = 0.0
        self._before: dict[int, Any] = {}

    def check(self) -> None:
        """Raise if a signal was received.

        Raises:
            Interrupted: naming it.
        """
        if self.received:
            raise Interrupted(self.received)

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for name in STOP_SIGNALS:
                number = getattr(signal, name, None)  # Windows lacks two of them
                if number is not None:
                    self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        name, now = signal.Signals(number).name, time.monotonic()
        if self.received:
            if name == self.received and now - self._when < SAME:
                return
            os._exit(128 + number)
        self.received, self._when = name, now
        told = f"{self.received}: stopping after this step; a second signal stops at once\n"
        os.write(2, told.encode())  # print is not safe in a signal handler


def leave_to_parent() -> None:
    """Ignore stop signals in a worker process: only the main process handles them."""
    for name in STOP_SIGNALS:
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, signal.SIG_IGN)
