"""A function that runs on a copy of this process while this process goes on."""

from __future__ import annotations

import ctypes
import os
import pickle
import select
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeVar

from mppi_zoo.runs.signals import leave_to_parent

T = TypeVar("T")
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux's prctl


def impossible() -> str:
    """Why no copy of this process can compute; empty where one can."""
    if not sys.platform.startswith("linux"):
        # elsewhere system libraries do not survive the copy, or there is no fork
        return f"copies of a running process compute on Linux only, and this is {sys.platform}"
    return ""


class Beside(Generic[T]):
    """The result of a function that a forked copy of this process computes.

    The copy sees all memory as it is now, and none of what this process does later: the function
    gives what it would give here. It must not print, log, or use a GPU or another thread. The copy
    ends with this process, however that ends.

    Args:
        function: what it returns must be picklable.
    """

    def __init__(self, function: Callable[[], T]):
        self._read, write = os.pipe()
        parent = os.getpid()
        with warnings.catch_warnings():
            # Python 3.12 warns of other threads' locks; the copy uses nothing that they share
            warnings.simplefilter("ignore", DeprecationWarning)
            self._child = os.fork()
        if self._child == 0:
            os.close(self._read)
            _compute(function, write, parent)
        os.close(write)

    def ready(self, timeout: float = 0.0) -> bool:
        """Whether the result is there, or will never be; waits for it up to ``timeout`` seconds."""
        return bool(select.select([self._read], [], [], timeout)[0])

    def result(self) -> T:
        """The function's result, waited for; call it once.

        Raises:
            Exception: what the function raised.
            ChildProcessError: the copy was killed.
        """
        with os.fdopen(self._read, "rb") as pipe:
            told = pipe.read()
        _, status = os.waitpid(self._child, 0)
        self._child = 0
        if not told:
            raise ChildProcessError(
                f"a copy of this process ended by {_ending(status)} before it had its result"
            )
        error, trace, result = pickle.loads(told)
        if error is not None:
            raise error from RuntimeError(f"in a copy of this process:\n{trace}")
        return result

    def abandon(self) -> None:
        """Kill the copy; there will be no result."""
        if self._child:
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
            os.close(self._read)
            self._child = 0


def _compute(function: Callable[[], Any], write: int, parent: int) -> NoReturn:
    """Run the function, tell the parent through the pipe, and end without any cleaning up."""
    try:
        leave_to_parent()
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the line above
            os._exit(1)
        with os.fdopen(write, "wb") as pipe:
            pipe.write(_told(function))
    finally:  # what the parent would do at its end (files, locks, workers) is not the copy's to do
        os._exit(0)


def _told(function: Callable[[], Any]) -> bytes:
    try:
        return pickle.dumps((None, "", function()))
    except BaseException as error:
        trace = traceback.format_exc()
        try:
            told = pickle.dumps((error, trace, None))
            pickle.loads(told)  # some exceptions can be written and not read
            return told
        except Exception:
            reason = f"{type(error).__name__}: {error}"
            return pickle.dumps((RuntimeError(reason), trace, None))


def _ending(status: int) -> str:
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return f"{name} (out of memory?)" if name == "SIGKILL" else name
    return f"exit code {os.waitstatus_to_exitcode(status)}"
