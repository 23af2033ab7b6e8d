"""The planner without learning: MPPI on a true simulator, whose batches MuJoCo's rollout runs.

    python planner_only.py [--steps 150]

A planner sees no network, only a few functions (mppi_zoo.planning.base.PlanningModel). Here they
are a simulator: a "latent" is MuJoCo's whole state. The task is to swing up a pole whose motor is
too weak to lift it at once.
"""

# mujoco's names come from C, where pyright sees none
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import argparse
from typing import Any

import mujoco
import numpy as np
import torch
from mujoco import rollout
from torch import Tensor

from mppi_zoo.core.types import Step
from mppi_zoo.planning.base import PlanningModel
from mppi_zoo.planning.mppi import MPPIPlanner

POLE = """
<mujoco>
  <option timestep="0.02"/>
  <worldbody>
    <body>
      <joint name="hinge" type="hinge" axis="0 1 0" damping="0.05"/>
      <geom type="capsule" fromto="0 0 0 0 0 -1" size="0.03" mass="1"/>
    </body>
  </worldbody>
  <actuator><motor joint="hinge" gear="2" ctrllimited="true" ctrlrange="-1 1"/></actuator>
</mujoco>
"""
SUBSTEPS = 4  # simulator's steps with one action
STATE = mujoco.mjtState.mjSTATE_FULLPHYSICS


class Simulator:
    """MuJoCo's states as latents z [..., Z], float64: time, position, velocity."""

    def __init__(self) -> None:
        self.model = mujoco.MjModel.from_xml_string(POLE)
        self.data = mujoco.MjData(self.model)
        self.size = mujoco.mj_stateSize(self.model, STATE)

    def start(self) -> Tensor:
        """[1, Z]: hanging, at rest."""
        mujoco.mj_resetData(self.model, self.data)
        state = np.zeros(self.size)
        mujoco.mj_getState(self.model, self.data, state, STATE)
        return torch.from_numpy(state)[None]

    def step(self, z: Tensor, action: Tensor) -> Step:
        """Simulate from z [..., Z] with actions [..., A], all in one call of rollout."""
        shape = torch.broadcast_shapes(z.shape[:-1], action.shape[:-1])
        states = z.expand(*shape, -1).reshape(-1, self.size).numpy()
        control = action.reshape(-1, 1, action.shape[-1]).expand(-1, SUBSTEPS, -1).numpy()
        control = np.ascontiguousarray(control)
        visited: Any = rollout.rollout(self.model, self.data, states, control)[0]
        after = torch.from_numpy(visited[:, -1]).reshape(*shape, self.size)
        reward = -torch.cos(after[..., 1])  # 1 upright, -1 hanging
        return Step(after, reward, torch.full(shape, 0.99, dtype=z.dtype))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=150)
    args = parser.parse_args()
    simulator, draws = Simulator(), torch.Generator().manual_seed(0)
    model = PlanningModel(
        step=simulator.step,
        # what is beyond the horizon: as if the last moment went on
        value=lambda z, noise, heads: -10 * torch.cos(z[..., 1]) - 0.3 * z[..., 2].square(),
        propose=lambda z, noise: noise.clamp(-1, 1),  # no policy: random actions
    )
    planner = MPPIPlanner(
        horizon=25, samples=96, elites=10, policy_samples=8, iterations=4, max_std=1.0
    )
    z, warm_start, rewards = simulator.start(), None, []
    for _ in range(args.steps):
        noise = planner.draw_noise(1, 1, 2, draws, torch.float64)
        plan = planner.plan(z, model, noise, warm_start=warm_start, greedy=True)
        warm_start = plan.warm_start
        z, reward, _ = simulator.step(z, plan.action)
        rewards.append(float(reward))
    height = np.mean(rewards[-20:])
    print(f"{args.steps} steps of {SUBSTEPS * 0.02:g} s: the pole's end began at height -1 and was")
    print(f"at {height:.2f} in the last 20 steps, where 1 is upright")


if __name__ == "__main__":
    main()
