"""The toys, whose optimum is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mppi_zoo import envs


@pytest.mark.parametrize("task", ["toy:point", "toy:point-terminating"])
def test_toy_optimum(task):
    env: Any = envs.make(task, render=True)
    inner: Any = env.unwrapped
    for seed in range(3):
        obs, _ = env.reset(seed=seed)
        np.testing.assert_array_equal(obs, env.reset(seed=seed)[0])
        total, steps, over = 0.0, 0, False
        while not over:
            obs, reward, terminated, truncated, _ = env.step(inner.optimal_action(obs))
            total, steps, over = total + reward, steps + 1, terminated or truncated
        assert steps == 25 and truncated and not terminated
        assert total == pytest.approx(inner.optimal_return, abs=1e-9)
    assert env.render().shape == (64, 64, 3)


def test_toy_terminates_outside_the_square():
    env: Any = envs.make("toy:point-terminating")
    env.reset(seed=0)
    for _ in range(10):
        obs, reward, terminated, truncated, _ = env.step(np.ones(2))
        assert reward < 1.0
        if terminated:
            break
    assert terminated and not truncated and np.abs(obs).max() > 1.0
