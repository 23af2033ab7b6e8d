"""File systems that lack something."""

from __future__ import annotations

import os

import pytest


def without_locks(monkeypatch: pytest.MonkeyPatch, answer: int) -> None:
    """Every request for a lock is answered with an error number."""

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(answer, os.strerror(answer))

    monkeypatch.setattr("fcntl.flock", flock)
