"""A run's folder becomes a controller."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.short_runs import SMALL, train

import mppi_zoo
from mppi_zoo import envs


def test_a_run_loads_and_acts(tmp_path: Path) -> None:
    folder = train(tmp_path / "run", "bmpc_equiv", "gym:Pendulum-v1", *SMALL)
    controller = mppi_zoo.load(folder)
    env = envs.make("gym:Pendulum-v1")
    obs, _ = env.reset(seed=0)
    for planner in (True, False):
        action = controller.act(obs, planner=planner)
        assert action.shape == (1,) and np.abs(action).max() <= 1
    torque = controller.act(obs, native=True, planner=False)
    np.testing.assert_allclose(torque, 2 * controller.act(obs, planner=False), rtol=1e-6)
    controller.reset()
    with pytest.raises(ValueError, match="4 numbers, the agent was trained on 3"):
        controller.act(np.zeros(4))
