"""mppi_zoo: MPPI-based reinforcement learning as settings of one KL-regularised agent.

The names below are imported when first used, so ``import mppi_zoo`` is quick and imports no
environment suite.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mppi_zoo.core.version import VERSION

if TYPE_CHECKING:
    from mppi_zoo.agent.agent import POMPCAgent
    from mppi_zoo.core.types import Batch, EnvSpec, Gaussian, Step
    from mppi_zoo.deploy.controller import Controller
    from mppi_zoo.deploy.loading import load
    from mppi_zoo.objective.kl_objective import KLObjective
    from mppi_zoo.planning.base import PlanningModel, PlanResult
    from mppi_zoo.planning.mppi import MPPIPlanner
    from mppi_zoo.planning.mppi_noise import PlanNoise
    from mppi_zoo.training.replay import Replay

__version__ = VERSION

_HOME = {
    "POMPCAgent": "agent.agent",
    "Batch": "core.types",
    "EnvSpec": "core.types",
    "Gaussian": "core.types",
    "PlanNoise": "planning.mppi_noise",
    "PlanningModel": "planning.base",
    "PlanResult": "planning.base",
    "Step": "core.types",
    "Controller": "deploy.controller",
    "load": "deploy.loading",
    "KLObjective": "objective.kl_objective",
    "MPPIPlanner": "planning.mppi",
    "Replay": "training.replay",
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
