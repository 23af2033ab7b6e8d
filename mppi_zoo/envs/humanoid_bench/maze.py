"""The reward of the maze, whose target moves from one checkpoint to the next."""

from __future__ import annotations

import math

from mppi_zoo.envs.humanoid_bench.outcome import Memory, Outcome
from mppi_zoo.envs.humanoid_bench.readings import Readings
from mppi_zoo.envs.humanoid_bench.rewards import COLLISION_DISCOUNT
from mppi_zoo.envs.humanoid_bench.shaping import gaussian, small_control, standing, upright

# The last one is there twice: reaching it the first time counts as a stage too.
CHECKPOINTS = ((0.0, 0.0), (3.0, 0.0), (3.0, 6.0), (6.0, 6.0), (6.0, 6.0))
DIRECTIONS = ((1.0, 0.0), (0.0, 1.0), (1.0, 0.0), (0.0, 1.0))
LAST = len(CHECKPOINTS) - 1
CHECKPOINT_RADIUS = 0.4
SPEED = 2.0
STAGE_BONUS = 100.0


def maze(readings: Readings, memory: Memory) -> Outcome:
    """Following the checkpoints at 2 m/s; touching a block costs nine tenths, save of the bonus."""
    after = advanced(readings, memory)
    bonus = STAGE_BONUS * after.stage if after.stage > memory.stage else 0.0
    control = small_control(readings)
    posture = standing(readings) * upright(readings, 0.9)
    move = (5.0 * _following(readings, after) + 1.0) / 6.0
    x, y = CHECKPOINTS[after.stage]
    away = math.hypot(x - float(readings.imu[0]), y - float(readings.imu[1]))
    near = gaussian(away, 0.0, 0.0, 1.0)
    touched = any("block" in pair for pair in readings.contacts)
    discount = COLLISION_DISCOUNT if touched else 1.0
    factors = {
        "stand_reward": posture,
        "small_control": control,
        "move": move,
        "wall_collision_discount": discount,
        "stage_convert_reward": bonus,
        "checkpoint_proximity_reward": near,
        "success_subtasks": float(after.stage),
    }
    reward = (0.2 * posture * control + 0.4 * move + 0.4 * near) * discount + bonus
    return Outcome(reward, factors, after)


def advanced(readings: Readings, memory: Memory) -> Memory:
    """The memory after the step: the next checkpoint is aimed at once the pelvis is at this one."""
    x, y = CHECKPOINTS[memory.stage]
    px, py, _ = readings.pelvis_before.tolist()
    if not math.hypot(px - x, py - y) < CHECKPOINT_RADIUS:
        return memory
    direction = DIRECTIONS[memory.stage] if memory.stage < LAST else memory.direction
    return memory._replace(stage=min(memory.stage + 1, LAST), direction=direction)


def _following(readings: Readings, memory: Memory) -> float:
    if memory.stage == LAST:
        return 1.0
    vx, vy, _ = readings.com_velocity.tolist()
    dx, dy = memory.direction
    return max(0.0, 1.0 - abs(vx - SPEED * dx)) * max(0.0, 1.0 - abs(vy - SPEED * dy))
