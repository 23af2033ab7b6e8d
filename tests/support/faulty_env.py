"""A task that fails on demand: ``support.faulty_env:Faulty``; what it does is set in ``FAULT``."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import numpy as np

from mppi_zoo.envs.toy import Point

# Set by a test before the environments are made; workers inherit it.
FAULT: dict[str, Any] = {"kind": "", "after": 0}
STEPS = [0]  # taken by all environments of this process together


def set_fault(kind: str, after: int = 0) -> None:
    FAULT.update(kind=kind, after=after)
    STEPS[0] = 0


class Unusual(BaseException):
    """Not an Exception, so that `except Exception` lets it pass."""


class Faulty(Point):
    restorable = True

    def __init__(self) -> None:
        super().__init__(terminating=True)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = super().step(action)
        STEPS[0] += 1
        if STEPS[0] <= FAULT["after"]:
            return obs, reward, terminated, truncated, info
        match FAULT["kind"]:
            case "raises":
                raise ZeroDivisionError("a bug of mine")
            case "exits":
                raise SystemExit(0)
            case "raises what is no Exception":
                raise Unusual("a stop of my own")
            case "terminates":
                terminated = True
            case "nan observation":
                obs = np.full_like(obs, np.nan)
            case "infinite observation":
                obs = np.full_like(obs, np.inf)
            case "nan reward":
                reward = float("nan")
            case "infinite reward":
                reward = float("-inf")
            case "changes shape":
                obs = np.zeros(5, np.float32)
            case "hangs":
                time.sleep(60)
            case "dies":
                os.kill(os.getpid(), signal.SIGKILL)
        return obs, reward, terminated, truncated, info


class ClosesBadly(Point):
    """Trains, and ends the process when it is closed."""

    def close(self) -> None:
        raise SystemExit(7)


class Unseeded(Point):
    """Starts where it likes, whatever the seed."""

    restorable = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        return super().reset(seed=int.from_bytes(os.urandom(4), "little"))


class Robot(Point):
    """Not to be moved for the sake of restoring an episode."""

    restorable = False
    resets = 0

    def reset(self, **keywords: Any) -> tuple[np.ndarray, dict[str, Any]]:
        Robot.resets += 1
        return super().reset(**keywords)
