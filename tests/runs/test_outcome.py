"""Exit codes and messages, whatever a command's body raises."""

from __future__ import annotations

import errno
import io
import json
import sys

import pytest

from mppi_zoo.config.bindings import read_bindings
from mppi_zoo.runs.outcome import (
    DONE,
    FAULT,
    KEYBOARD,
    REFUSED,
    STOPPED,
    Attempt,
    conclude,
)
from mppi_zoo.runs.signals import Interrupted

FULL = OSError(errno.ENOSPC, "No space left on device")


def ending(error: BaseException, *, begun: bool = False, code: int | None = None, **options) -> int:
    def body(attempt: Attempt) -> int:
        attempt.begun, attempt.code, attempt.advice = begun, code, lambda: "how to go on"
        raise error

    return conclude(body, **options)


@pytest.mark.parametrize(
    ("error", "before", "under_way"),
    [
        (ValueError("bad"), REFUSED, FAULT),
        (TypeError("bad"), REFUSED, FAULT),
        (SystemExit(0), REFUSED, FAULT),
        (OSError(errno.EROFS, "Read-only file system"), REFUSED, FAULT),
        (FULL, FAULT, FAULT),
        (MemoryError(), FAULT, FAULT),
        (Interrupted("SIGTERM"), STOPPED, STOPPED),
        (KeyboardInterrupt(), KEYBOARD, KEYBOARD),
        (BrokenPipeError(), DONE, FAULT),
    ],
)
def test_codes(error: BaseException, before: int, under_way: int) -> None:
    assert ending(error) == before
    assert ending(error, begun=True) == under_way


def test_a_known_code_is_not_replaced_by_an_error_of_closing() -> None:
    assert ending(FULL, begun=True, code=STOPPED) == STOPPED
    assert ending(FULL, begun=True, code=DONE) == FAULT


def test_messages_of_the_package_stand_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    def body(attempt: Attempt) -> int:
        read_bindings("what is this")
        return DONE

    assert conclude(body) == REFUSED
    assert capsys.readouterr().err == ("error: line 1 is 'what is this', expected NAME = VALUE\n")


def test_other_errors_get_kind_and_place(capsys: pytest.CaptureFixture[str]) -> None:
    def own_part() -> None:
        json.loads("{")

    def body(attempt: Attempt) -> int:
        own_part()
        return DONE

    assert conclude(body) == REFUSED
    said = capsys.readouterr().err
    assert said.startswith("error: JSONDecodeError: Expecting property name")
    assert "the same command with --debug shows the traceback" in said
    assert ending(TypeError("a bug")) == REFUSED
    said = capsys.readouterr().err
    assert f"error: TypeError: a bug (in body, {__file__}:" in said and "Traceback" not in said


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(TypeError("a bug"), debug=True) == REFUSED
    said = capsys.readouterr().err
    assert said.startswith("Traceback") and "raise error" in said and "error: TypeError" in said


def test_advice_follows_a_fault_only(capsys: pytest.CaptureFixture[str]) -> None:
    ending(ValueError("bad"), begun=True)
    assert capsys.readouterr().err.endswith("\nhow to go on\n")
    ending(ValueError("bad"))
    assert "how to go on" not in capsys.readouterr().err


def test_a_message_that_cannot_be_printed_changes_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise FULL

        def flush(self) -> None:
            raise FULL

    monkeypatch.setattr(sys, "stderr", Full())
    monkeypatch.setattr(sys, "stdout", Full())
    assert ending(FULL, begun=True) == FAULT
    assert ending(ValueError("bad")) == REFUSED
