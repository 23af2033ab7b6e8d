"""Agents for tests: built from the shipped gin files, with small sizes, and parameter exchange."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import gin
import numpy as np
import torch
from torch import Tensor

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.agent.losses import ModelTerms
from mppi_zoo.agent.official import named_parameters
from mppi_zoo.config import gin_config as config
from mppi_zoo.core.types import Batch, EnvSpec, Gaussian, UpdateNoise

# where the tests that compare numbers compute: MPPI_ZOO_DEVICE=cuda on a machine with a GPU
DEVICE = os.environ.get("MPPI_ZOO_DEVICE", "cpu")

MEMBERS = (
    "tdmpc2_equiv",
    "bmpc_equiv",
    "tdmpc_square_equiv",
    "boom_equiv",
    "tdmpc2_cem",
    "tdmpc2_icem",
    "dream_mpc",
    "dream_tdmpc2",
    "awac_mpc",
    "bc_mpc",
    "bc_sac_mpc",
    "pompc_replay",
    "pompc_adaptive_fkl",
    "pompc_adaptive_rkl",
    "pompc_v",
    "pompc_kl_budget",
    "pompc_uniform",
    "pompc_lagged",
    "tdmpc2_cautious",
    "pompc_soft_replay",
    "pompc_soft_adaptive",
    "pompc_min_norm",
    "efficient_tdmpc",
    "efficient_pompc",
    "tdmpbc",
    "pompc_author",
    "tdmpc2_constrained",
    "newt_single",
)

SMALL = (
    "enc_dim=16",
    "mlp_dim=32",
    "latent_dim=16",
    "critic_heads=5",
    "samples=48",
    "elites=12",
    "policy_samples=6",
    "iterations=4",
)


def build(
    member: str,
    spec: EnvSpec,
    *params: str,
    small: bool = True,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    device: str = DEVICE,
) -> POMPCAgent:
    """The member's shipped file with small sizes and further bindings."""
    torch.manual_seed(seed)
    experiment = config.parse([member], [*(SMALL if small else ()), *params])
    return experiment.agent(spec, dtype=dtype, device=device, seed=seed)


def build_execution(member: str, spec: EnvSpec, *params: str, **options: Any) -> Execution:
    """What runs the agent of :func:`build`."""
    agent = build(member, spec, *params, **options)
    return gin.get_configurable(Execution)(agent)


def update(
    agent: POMPCAgent, batch: Batch, noise: UpdateNoise, step: int = 0, pretraining: bool = False
) -> dict[str, Tensor]:
    """The agent's update with lambda's weights at an agent step."""
    return agent.update(batch, agent.objective.lam.weights(step), noise, pretraining)


def policy_step(
    agent: POMPCAgent, zs: Tensor, batch: Batch, noise: UpdateNoise
) -> dict[str, Tensor]:
    """The agent's update from latents zs [T+1, B, Z]: its model stands still."""
    changed: Any = agent
    before = agent.model_loss, agent.optimizers
    still = SimpleNamespace(step=lambda loss: loss)
    changed.model_loss = lambda *_: ModelTerms(zs.new_zeros(()), zs, {})
    changed.optimizers = SimpleNamespace(model=still, policy=agent.optimizers.policy)
    try:
        return update(agent, batch, noise)
    finally:
        changed.model_loss, changed.optimizers = before


@torch.no_grad()
def load_parameters(agent: POMPCAgent, arrays: Mapping[str, np.ndarray], prefix: str) -> None:
    """Copy ``prefix + neutral name`` into the agent; every parameter must be there."""
    for name, parameter in named_parameters(agent):
        parameter.copy_(torch.from_numpy(arrays[prefix + name]))


def random_batch(
    spec: EnvSpec,
    batch: int = 16,
    window: int = 3,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    terminations: bool = False,
) -> Batch:
    """A batch of random numbers, half of it planned."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype)

    ended = torch.rand(window, batch, generator=generator) < (0.2 if terminations else 0.0)
    shape = (window, batch, spec.action_dim)

    def plans(*shape: int) -> tuple[Tensor, Tensor, Tensor]:
        planned = torch.rand(shape[:2], generator=generator) < 0.5
        mean = torch.where(planned.unsqueeze(-1), normal(*shape).tanh(), 0.0)
        std = torch.where(planned.unsqueeze(-1), normal(*shape).sigmoid() + 0.05, 1.0)
        return planned, mean.to(dtype), std.to(dtype)

    within = plans(*shape)
    obs, action = normal(window + 1, batch, spec.obs_dim), normal(*shape).tanh()
    reward = 3 * normal(window, batch)
    last = plans(1, *shape[1:])
    planned, mean, std = (torch.cat(pair) for pair in zip(within, last, strict=True))
    return Batch(
        obs=obs,
        action=action,
        reward=reward,
        terminated=ended.to(dtype),
        plan=Gaussian(mean, std),
        planned=planned,
        index=torch.arange(window * batch).view(window, batch),
        episode_return=10 * normal(batch),
    )
