"""Time of the diagnostics as a share of the evaluation that they accompany.

``python benchmarks/bench_diagnostics.py [SCALE]``, by default ``scale/laptop``; one evaluation of
ten episodes of dmc:walker-walk, planner and bare policy, with an untrained agent.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch

from mppi_zoo.config import gin_config as config
from mppi_zoo.core.types import Gaussian
from mppi_zoo.envs import EpisodeVector
from mppi_zoo.training.diagnostics import Diagnostics
from mppi_zoo.training.evaluation import Evaluator
from mppi_zoo.training.replay import Replay


def main(scale: str = "scale/laptop") -> None:
    """Prints seconds of both and the share."""
    for member in ("tdmpc2_equiv", "pompc_adaptive_fkl"):
        experiment = config.parse([member, scale])
        envs = EpisodeVector("dmc:walker-walk", 10, 1, "evaluation", experiment.env)
        agent = experiment.agent(envs.spec)
        execution = experiment.execution(agent)
        replay = Replay(envs.spec, 5000, agent.planner.horizon)
        spec = envs.spec
        for step in range(2000):
            plan = Gaussian(torch.rand(1, spec.action_dim), torch.full((1, spec.action_dim), 0.3))
            replay.add(
                torch.randn(1, spec.obs_dim),
                torch.rand(1, spec.action_dim),
                torch.rand(1),
                torch.zeros(1),
                np.array([step % 500 == 499]),
                torch.randn(1, spec.obs_dim),
                plan,
            )
        evaluator = Evaluator(envs, 1)
        begun = time.perf_counter()
        planner, policy = evaluator.planner(execution, 0), evaluator.policy(agent, 0)
        evaluated = time.perf_counter()
        Diagnostics(1).metrics(execution, replay, 0, planner, policy)
        diagnosed = time.perf_counter()
        share = (diagnosed - evaluated) / (evaluated - begun)
        print(
            f"{member} {scale}: evaluation {evaluated - begun:.1f} s, diagnostics "
            f"{diagnosed - evaluated:.2f} s, {100 * share:.1f} %"
        )
        envs.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
