"""The released TD-MPC2 program, from a clone of it, made to run on a CPU and timed as it stands.

It needs the package tensordict. What is changed on import is what only runs on CUDA.
"""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch

from mppi_zoo.agent import POMPCAgent
from mppi_zoo.base import Batch
from mppi_zoo.ops import discount_factor

FOR_A_CPU = {
    "cuda:0": "cpu",
    "(cfg).to(self.device)": "(cfg)",  # a move that trips over tensors without data
    ", capturable=True": "",  # of Adam; CUDA only
}


def load(
    clone: Path,
    agent: POMPCAgent,
    enc_dim: int,
    num_enc_layers: int,
    batch_size: int,
    device: str = "cpu",
    compiled: bool = False,
):
    """The released agent with the sizes of ours: on the CPU or, as it stands, on cuda:0.

    Raises:
        FileNotFoundError: if the folder is no clone of the program.
    """
    if not (clone / "tdmpc2" / "tdmpc2.py").is_file():
        raise FileNotFoundError(f"{clone} holds no tdmpc2/tdmpc2.py: give a clone of TD-MPC2")
    folder = Path(tempfile.mkdtemp(prefix="released-"))
    shutil.copytree(clone / "tdmpc2" / "common", folder / "common")
    shutil.copy2(clone / "tdmpc2" / "tdmpc2.py", folder)
    for file in folder.rglob("*.py"):
        source = file.read_text()
        for theirs, ours in FOR_A_CPU.items() if device == "cpu" else ():
            source = source.replace(theirs, ours)
        file.write_text(source)
    sys.path.insert(0, str(folder))
    try:
        program = importlib.import_module("tdmpc2")
    finally:
        sys.path.remove(str(folder))
    spec, planner, model = agent.spec, agent.planner, agent.world_model
    gamma_low, gamma_high = discount_factor(1), discount_factor(10**9)
    settings = SimpleNamespace(
        obs="state",
        obs_shape={"state": (spec.obs_dim,)},
        action_dim=spec.action_dim,
        episode_length=spec.episode_length,
        episodic=spec.episodic,
        multitask=False,
        task_dim=0,
        batch_size=batch_size,
        horizon=planner.horizon,
        iterations=planner.base_iterations,
        num_samples=planner.samples,
        num_elites=planner.elites,
        num_pi_trajs=planner.policy_samples,
        min_std=planner.min_std,
        max_std=planner.max_std,
        temperature=planner.temperature,
        enc_dim=enc_dim,
        num_enc_layers=num_enc_layers,
        mlp_dim=model.mlp_dim,
        latent_dim=model.latent_dim,
        num_q=agent.critic.heads,
        dropout=agent.critic.dropout,
        num_bins=101,
        vmin=-10,
        vmax=10,
        bin_size=0.2,
        simnorm_dim=8,
        log_std_min=-10,
        log_std_max=2,
        entropy_coef=1e-4,
        discount_denom=5,
        discount_min=gamma_low,
        discount_max=gamma_high,
        reward_coef=0.1,
        value_coef=0.1,
        termination_coef=1,
        consistency_coef=20,
        rho=0.5,
        lr=3e-4,
        enc_lr_scale=0.3,
        grad_clip_norm=20,
        tau=0.01,
        mpc=True,
        compile=compiled,
    )
    return program.TDMPC2(settings)


def cases(released, batch: Batch) -> dict[str, Callable[[], object]]:
    """Its plan and its update on the batch, as ours are timed."""
    reward, terminated = batch.reward.unsqueeze(-1), batch.terminated.unsqueeze(-1)

    @torch.no_grad()
    def plan() -> object:
        return released.plan(batch.obs[0, :1])

    return {
        "plan": plan,
        "update": lambda: released._update(batch.obs, batch.action, reward, terminated),
    }
