"""Environments in processes of their own that hang or die."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from support import faulty_env

from mppi_zoo import envs
from mppi_zoo.envs.copies import Copies


@pytest.fixture(autouse=True)
def no_fault_afterwards():
    yield
    faulty_env.set_fault("")


def test_a_hung_environment_is_given_up() -> None:
    faulty_env.set_fault("hangs", after=1)
    options = envs.EnvOptions(time_out=1.0)
    with envs.EpisodeVector("support.faulty_env:Faulty", 2, 3, "x", options, True) as vector:
        vector.reset()
        vector.step(np.zeros((2, 2)))
        with pytest.raises(envs.EnvironmentFault, match=r"\[0, 1\] gave no answer to step within"):
            vector.step(np.zeros((2, 2)))
    processes = cast(Copies, vector._batch).vector.processes
    assert not any(process.is_alive() for process in processes)


def test_a_dead_worker_is_named() -> None:
    faulty_env.set_fault("dies", after=1)
    with envs.EpisodeVector("support.faulty_env:Faulty", 2, 3, "x", asynchronous=True) as vector:
        vector.reset()
        vector.step(np.zeros((2, 2)))
        with pytest.raises(envs.EnvironmentFault, match=r"\[0, 1\] died.*exit codes \[-9, -9\]"):
            vector.step(np.zeros((2, 2)))
