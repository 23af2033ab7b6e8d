"""Rewards of the tasks, pure functions of readings. See docs/humanoid_bench.md."""

from __future__ import annotations

import functools
import math

import numpy as np

from mppi_zoo.envs.humanoid_bench.outcome import Memory, Outcome
from mppi_zoo.envs.humanoid_bench.readings import Readings
from mppi_zoo.envs.humanoid_bench.shaping import (
    STAND_HEIGHT,
    gaussian,
    moving,
    resting,
    small_control,
    standing,
    upright,
)

COLLISION_DISCOUNT = 0.1
# Not a unit quaternion, and its sign matters, as in the original.
CRAWLING_TURN = np.array([0.75, 0.0, 0.65, 0.0])


def stand(readings: Readings, memory: Memory, height: float = STAND_HEIGHT) -> Outcome:
    """Standing still, the head at ``height`` or above."""
    control, rest = small_control(readings), resting(readings)
    factors = _posture(readings, height, 0.9)
    reward = control * factors["stand_reward"] * rest
    return Outcome(reward, {**factors, "small_control": control, "dont_move": rest}, memory)


def walk(readings: Readings, memory: Memory, speed: float, up: float = 0.9) -> Outcome:
    """Moving along x at ``speed`` (m/s) or faster, upright."""
    return _locomotion(_posture(readings, STAND_HEIGHT, up), readings, memory, speed)


def hurdle(readings: Readings, memory: Memory, speed: float) -> Outcome:
    """Running; any contact with a barrier costs nine tenths. Contacts with hurdles cost nothing."""
    run = walk(readings, memory, speed, up=0.8)
    touched = any("barrier" in pair for pair in readings.contacts)
    return _discounted(run, "wall_collision_discount", touched)


def climb(readings: Readings, memory: Memory, speed: float) -> Outcome:
    """Walking over stairs and slopes: the head is to be high above both feet."""
    above = functools.partial(gaussian, low=1.2, high=math.inf, margin=0.45)
    head = readings.head_height
    tall = above(head - readings.left_foot_height) * above(head - readings.right_foot_height)
    straight = upright(readings, 0.5)
    factors = {"stand_reward": tall * straight, "standing": tall, "upright": straight}
    return _locomotion(factors, readings, memory, speed)


def pole(readings: Readings, memory: Memory, speed: float) -> Outcome:
    """Walking between poles; anything but the floor that touches a pole costs nine tenths."""
    factors = _posture(readings, STAND_HEIGHT, 0.9)
    control, move = small_control(readings), moving(readings, speed)
    reward = 0.5 * factors["stand_reward"] * control + 0.5 * move
    touched = any("pole" in pair and "floor" not in pair for pair in readings.contacts)
    walked = Outcome(reward, {**factors, "small_control": control, "move": move}, memory)
    return _discounted(walked, "collision_discount", touched)


def crawl(readings: Readings, memory: Memory, speed: float) -> Outcome:
    """Moving along x low and face down, within the tunnel."""
    control, move = small_control(readings), moving(readings, speed)
    body = gaussian(float(readings.imu[2]), 0.6, 1.0, 1.0)
    head = gaussian(readings.head_height, 0.6, 1.0, 1.0)
    turn = float(np.linalg.norm(readings.pelvis_turn - CRAWLING_TURN))
    pose = gaussian(turn, 0.0, 0.0, 1.0)
    inside = 1.0 if abs(float(readings.imu[1])) <= 1.0 else 0.0
    reward = inside * (0.1 * control + 0.25 * min(body, head) + 0.4 * move + 0.25 * pose)
    factors = {
        "crawling": body,
        "crawling_head": head,
        "small_control": control,
        "move": move,
        "in_tunnel": inside,
    }
    return Outcome(reward, factors, memory)


def sit(readings: Readings, memory: Memory) -> Outcome:
    """Sitting on the chair, straight and at rest."""
    control, rest = small_control(readings), resting(readings)
    x, y, z = readings.pelvis.tolist()
    low = gaussian(z, 0.68, 0.72, 0.2)
    on_chair = gaussian(x - float(readings.chair[0]), -0.19, 0.19, 0.2) * gaussian(
        y - float(readings.chair[1]), 0.0, 0.0, 0.1
    )
    straight = upright(readings, 0.95, 0.9)
    posture = gaussian(readings.head_height - float(readings.imu[2]), 0.35, 0.45, 0.3)
    seated = (0.5 * low + 0.5 * on_chair) * straight * posture
    factors = {
        "small_control": control,
        "sit_reward": seated,
        "dont_move": rest,
        "sitting": low,
        "upright": straight,
        "sitting_posture": posture,
    }
    return Outcome(control * seated * rest, factors, memory)


def reach(readings: Readings, memory: Memory) -> Outcome:
    """The left hand at the goal, the pelvis upright, slowly."""
    distance = float(np.linalg.norm(readings.left_hand - np.array(memory.goal)))
    healthy = 5.0 * readings.pelvis_up
    motion = float(np.square(readings.velocities).sum())
    close, there = (5.0 if distance < 1.0 else 0.0), (10.0 if distance < 0.05 else 0.0)
    factors = {
        "hand_dist": distance,
        "healthy_reward": healthy,
        "motion_penalty": motion,
        "reward_close": close,
        "reward_success": there,
    }
    return Outcome(healthy - 1e-4 * motion + close + there, factors, memory)


def _posture(readings: Readings, height: float, up: float) -> dict[str, float]:
    tall, straight = standing(readings, height), upright(readings, up)
    return {"stand_reward": tall * straight, "standing": tall, "upright": straight}


def _locomotion(
    factors: dict[str, float], readings: Readings, memory: Memory, speed: float
) -> Outcome:
    control, move = small_control(readings), moving(readings, speed)
    reward = control * factors["stand_reward"] * move
    return Outcome(reward, {**factors, "small_control": control, "move": move}, memory)


def _discounted(outcome: Outcome, name: str, touched: bool) -> Outcome:
    discount = COLLISION_DISCOUNT if touched else 1.0
    return outcome._replace(
        reward=outcome.reward * discount, factors={**outcome.factors, name: discount}
    )
