"""The building blocks of the rewards, each in [0, 1]. See docs/humanoid_bench.md."""

from __future__ import annotations

import math

import numpy as np

from mppi_zoo.envs.humanoid_bench.readings import Readings

STAND_HEIGHT = 1.65  # of the head
_STEEPNESS = 2.0 * math.log(10.0)  # a Gaussian reads 0.1 at its margin


def gaussian(x: float, low: float, high: float, margin: float) -> float:
    """1 within [low, high], 0.1 at ``margin`` outside it."""
    outside = max(low - x, x - high, 0.0) / margin
    return math.exp(-0.5 * _STEEPNESS * outside * outside)


def linear(x: float, low: float, margin: float) -> float:
    """1 from ``low`` up, 0 at ``margin`` below it."""
    return min(max(1.0 - max(low - x, 0.0) / margin, 0.0), 1.0)


def small_control(readings: Readings) -> float:
    """In [0.8, 1]: 1 for no actuator force, falling to 0.8 as all reach 10 N m."""
    quadratic = np.maximum(0.0, 1.0 - np.square(readings.forces / 10.0))
    return (4.0 + float(quadratic.mean())) / 5.0


def standing(readings: Readings, height: float = STAND_HEIGHT) -> float:
    """1 with the head at ``height`` or above."""
    return gaussian(readings.head_height, height, math.inf, STAND_HEIGHT / 4.0)


def upright(readings: Readings, low: float, margin: float = 1.9) -> float:
    """1 with the torso's axis at least ``low`` up."""
    return linear(readings.torso_up, low, margin)


def moving(readings: Readings, speed: float) -> float:
    """In [1/6, 1]: 1 at ``speed`` (m/s) along x or faster."""
    return (5.0 * linear(float(readings.com_velocity[0]), speed, speed) + 1.0) / 6.0


def resting(readings: Readings) -> float:
    """In [0, 1]: 1 without horizontal velocity."""
    vx, vy, _ = readings.com_velocity.tolist()
    return 0.5 * (gaussian(vx, 0.0, 0.0, 2.0) + gaussian(vy, 0.0, 0.0, 2.0))
