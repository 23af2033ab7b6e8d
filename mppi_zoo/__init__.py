"""mppi_zoo: MPPI-based reinforcement learning as settings of one KL-regularised agent.

The names below are imported when first used, so ``import mppi_zoo`` is quick and imports no
environment suite.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mppi_zoo.agent import POMPCAgent
    from mppi_zoo.base import Batch, EnvSpec, Gaussian, PlanningModel, PlanNoise, PlanResult, Step
    from mppi_zoo.deployment import Controller, load
    from mppi_zoo.objective import KLObjective
    from mppi_zoo.planner import MPPIPlanner
    from mppi_zoo.replay import Replay

__version__ = "0.1.0"

_HOME = {
    "POMPCAgent": "agent",
    "Batch": "base",
    "EnvSpec": "base",
    "Gaussian": "base",
    "PlanNoise": "base",
    "PlanningModel": "base",
    "PlanResult": "base",
    "Step": "base",
    "Controller": "deployment",
    "load": "deployment",
    "KLObjective": "objective",
    "MPPIPlanner": "planner",
    "Replay": "replay",
}

__all__ = [
    "Batch",
    "Controller",
    "EnvSpec",
    "Gaussian",
    "KLObjective",
    "MPPIPlanner",
    "POMPCAgent",
    "PlanNoise",
    "PlanResult",
    "PlanningModel",
    "Replay",
    "Step",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(
            f"module 'mppi_zoo' has no attribute {name!r}; it has {', '.join(__all__)}"
        )
    return getattr(importlib.import_module(f"mppi_zoo.{_HOME[name]}"), name)
