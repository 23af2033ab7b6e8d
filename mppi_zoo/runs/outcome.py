"""How a command ends: any exception becomes a message with an exit code.

All commands (``run``, ``report``, ``export``, ``study``) end through :func:`conclude`. A traceback
is shown with ``--debug`` only.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mppi_zoo.core.extras import require
from mppi_zoo.core.version import VERSION
from mppi_zoo.runs.signals import Interrupted

DONE = 0
SOME_FAILED = 1  # of a study: not all of its runs are done
REFUSED = 2  # bad input; nothing was begun, and the same command would be refused again
FAULT = 3  # environment, numbers, a part or the disk failed under way; trying again may help
STOPPED = 75  # by a signal, after a checkpoint; EX_TEMPFAIL: the same command may be given again
KEYBOARD = 130  # as shells report a program that the keyboard interrupted

# Errors of the machine, not of the input: the same command may succeed later.
PASSING = frozenset(
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EIO", "ESTALE", "EMFILE", "ENFILE", "ENOMEM", "EAGAIN")
    if hasattr(errno, name)
)

# Kinds of errors that this package raises with a message for the user.
WRITTEN = (ValueError, RuntimeError, ArithmeticError)

PACKAGE = Path(__file__).resolve().parents[1]


@dataclass
class Attempt:
    """How far a command has come, which decides what an error means.

    Attributes:
        begun: whether work was begun; from then on an error is a fault, not a refusal.
        code: the exit code, as soon as it is known; errors of closing files do not hide it.
        advice: gives a sentence to add to the message of a fault or of a signal.
    """

    begun: bool = False
    code: int | None = None
    advice: Callable[[], str] = str


def add_debug(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--debug`` to a command line."""
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def add_version(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--version`` to a command line."""
    version = f"mppi_zoo {VERSION}"
    parser.add_argument("--version", action="version", version=version)


def start(module: str, *extras: str) -> int:
    """Run ``main`` of a module whose imports need these extras; returns the exit code."""
    if sys.argv[1:] == ["--version"]:  # which needs no extra
        print(f"mppi_zoo {VERSION}")
        return DONE
    try:
        for extra in extras:
            require(extra)
    except ImportError as error:
        _print(f"error: {error}")
        return REFUSED
    return importlib.import_module(module).main()


def conclude(body: Callable[[Attempt], int], *, debug: bool = False) -> int:
    """Run a command's body; returns its exit code, whatever the body raises.

    Args:
        body: does the work and returns the exit code.
        debug: also print the traceback.
    """
    attempt = Attempt()
    try:
        code = body(attempt)
    except Interrupted as signal:
        advice = attempt.advice()
        _print(f"stopped by {signal}" + (f"; {advice}" if advice else ""))
        code = STOPPED
    except KeyboardInterrupt:
        _print("stopped by the keyboard")
        code = KEYBOARD
    except BrokenPipeError:  # who read the output has left, as `head` does
        code = FAULT if attempt.begun else DONE
    except (Exception, SystemExit) as error:
        if debug:
            _print("".join(traceback.format_exception(error)).rstrip())
        code = _code(attempt, error)
        advice = attempt.advice() if code == FAULT else ""
        _print(f"error: {describe(error)}" + (f"\n{advice}" if advice else ""))
    _flush()
    return code


def _code(attempt: Attempt, error: BaseException) -> int:
    if attempt.code not in (None, DONE):
        return attempt.code  # only closing failed
    if attempt.begun or isinstance(error, MemoryError):
        return FAULT
    return FAULT if isinstance(error, OSError) and error.errno in PASSING else REFUSED


def describe(error: BaseException) -> str:
    """An error as one message; one that was not written for users gets its kind and its place."""
    if isinstance(error, MemoryError):
        return "out of memory"
    text = str(error).strip()
    frames = traceback.extract_tb(error.__traceback__)
    if text and (isinstance(error, OSError | ImportError) or _is_own(error, frames)):
        return text
    where = next((f for f in reversed(frames) if _inside(f.filename)), None)
    last = frames[-1] if frames else None
    if last is not None and not _is_library(last.filename):
        where = last  # a file of the user's own
    place = f"in {where.name}, {where.filename}:{where.lineno}; " if where else ""
    kind = type(error).__name__
    told = f"{kind}: {text}" if text else kind
    return f"{told} ({place}the same command with --debug shows the traceback)"


def _is_own(error: BaseException, frames: traceback.StackSummary) -> bool:
    """Whether this package raised the error, with a message for the user."""
    if type(error).__module__.partition(".")[0] == "mppi_zoo":
        return True
    return isinstance(error, WRITTEN) and bool(frames) and _inside(frames[-1].filename)


def _inside(file: str) -> bool:
    return Path(file).is_relative_to(PACKAGE)


def _is_library(file: str) -> bool:
    inside = {"site-packages", "dist-packages", os.path.basename(os.path.dirname(os.__file__))}
    return file.startswith("<") or not inside.isdisjoint(Path(file).parts)


def _print(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # stderr may be closed, or on a full disk
        print(text, file=sys.stderr, flush=True)


def _flush() -> None:
    """Flush the output. One that cannot be written is given up: the exit code says more."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
