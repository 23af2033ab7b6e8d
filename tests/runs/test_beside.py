"""Functions on a copy of the process: results, errors, and how the copy ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mppi_zoo.runs.beside import Beside, impossible

pytestmark = pytest.mark.skipif(bool(impossible()), reason=impossible() or "it can")


class Unpicklable(Exception):
    def __init__(self, one: int, two: int):
        super().__init__(f"{one} and {two}")  # pickle would call it with one argument


def test_sees_what_was_and_changes_nothing_here() -> None:
    held = [1]

    def total() -> int:
        held.append(10)
        time.sleep(0.05)
        return sum(held)

    copy = Beside(total)
    held.append(100)
    assert copy.result() == 11
    assert held == [1, 100]


def test_ready_once_there_is_a_result() -> None:
    read, write = os.pipe()
    copy = Beside(lambda: os.read(read, 1))
    assert not copy.ready()
    os.write(write, b"x")
    assert copy.ready(timeout=30)
    assert copy.result() == b"x"


def test_large_results_arrive_whole() -> None:
    assert Beside(lambda: bytes(3_000_000)).result() == bytes(3_000_000)


def test_errors_are_raised_here_with_where_they_came_from() -> None:
    def fails() -> None:
        raise KeyError("what")

    with pytest.raises(KeyError, match="what") as caught:
        Beside(fails).result()
    assert "in fails" in str(caught.value.__cause__)


def test_errors_that_cannot_be_sent_are_named() -> None:
    def fails() -> None:
        raise Unpicklable(1, 2)

    with pytest.raises(RuntimeError, match="Unpicklable: 1 and 2"):
        Beside(fails).result()


def test_a_killed_copy_is_an_error_that_says_so() -> None:
    with pytest.raises(ChildProcessError, match=r"SIGKILL \(out of memory\?\)"):
        Beside(lambda: os.kill(os.getpid(), signal.SIGKILL)).result()


def test_abandoned_copies_are_gone() -> None:
    copy = Beside(lambda: time.sleep(60))
    child = copy._child
    copy.abandon()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_signals_that_stop_a_run_are_the_parents() -> None:
    read, write = os.pipe()

    def waits() -> bytes:
        os.write(write, b"ready")
        time.sleep(0.2)
        return b"done"

    copy = Beside(waits)
    os.read(read, 5)
    os.kill(copy._child, signal.SIGTERM)
    os.kill(copy._child, signal.SIGINT)
    assert copy.result() == b"done"


def test_the_copy_ends_with_a_killed_parent() -> None:
    program = """
import os, time
from mppi_zoo.runs.beside import Beside
copy = Beside(lambda: (print(os.getpid(), flush=True), time.sleep(60)))  # it is at work by then
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    until = time.monotonic() + 5
    while running(child) and time.monotonic() < until:
        time.sleep(0.02)
    assert not running(child)


def running(process: int) -> bool:
    """Whether a process is alive; one that is dead and not yet looked after is not."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
