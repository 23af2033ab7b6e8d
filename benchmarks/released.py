"""The released TD-MPC2 and BMPC, from clones of them, made to run on a CPU and timed as they stand.

They need the package tensordict. What is changed on import is what only runs on CUDA.
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

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.core.math import discount_factor
from mppi_zoo.core.types import Batch
from mppi_zoo.planning.mppi import MPPIPlanner

FILES = {"TDMPC2": Path("tdmpc2", "tdmpc2.py"), "BMPC": Path("bmpc", "bmpc.py")}  # by class

BMPC_ALONE = {
    "bmpc": True,
    "use_v_instead_q": True,
    "td_horizon": 1,
    "reanalyze_interval": 0,  # timed by itself
    "expl_log_std_min": -2,
    "expl_log_std_max": 1,
}

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
        FileNotFoundError: if the folder is no clone of one of the programs.
    """
    found = [name for name, file in FILES.items() if (clone / file).is_file()][-1:]
    if not found:
        files = " nor ".join(map(str, FILES.values()))
        raise FileNotFoundError(f"{clone} holds no {files}: give a clone of TD-MPC2 or of BMPC")
    file = FILES[found[0]]
    folder = Path(tempfile.mkdtemp(prefix="released-"))
    shutil.copytree(clone / file.parent / "common", folder / "common")
    shutil.copy2(clone / file, folder)
    for path in folder.rglob("*.py"):
        source = path.read_text()
        for theirs, ours in FOR_A_CPU.items() if device == "cpu" else ():
            source = source.replace(theirs, ours)
        path.write_text(source)
    for name in [name for name in sys.modules if name.split(".")[0] == "common"]:
        del sys.modules[name]  # the other program's
    sys.path.insert(0, str(folder))
    try:
        program = importlib.import_module(file.stem)
    finally:
        sys.path.remove(str(folder))
    spec, planner, model = agent.spec, agent.planner, agent.world_model
    assert isinstance(planner, MPPIPlanner)
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
    if found[0] == "BMPC":
        settings.log_std_min, settings.log_std_max = -3, 1
        vars(settings).update(BMPC_ALONE)
    return getattr(program, found[0])(settings)


def cases(released, batch: Batch) -> dict[str, Callable[[], object]]:
    """Its plan and its update on the batch, as ours are timed; of BMPC the re-analysis too."""
    reward, terminated = batch.reward.unsqueeze(-1), batch.terminated.unsqueeze(-1)
    if type(released).__name__ == "BMPC":
        return _cases_of_bmpc(released, batch, reward)

    @torch.no_grad()
    def plan() -> object:
        return released.plan(batch.obs[0, :1])

    return {
        "plan": plan,
        "update": lambda: released._update(batch.obs, batch.action, reward, terminated),
    }


def _cases_of_bmpc(released, batch: Batch, reward: torch.Tensor) -> dict[str, Callable[[], object]]:
    horizon = len(reward)
    stored = batch.obs[:-1, :20].flatten(0, 1)
    experts = torch.cat(batch.plans()[0], dim=-1)

    def plan(obs: torch.Tensor, again: bool) -> Callable[[], object]:
        @torch.no_grad()
        def call() -> object:
            return released.plan(
                obs,
                len(obs),
                t0=again,
                horizon=horizon,
                update_prev_mean=not again,
                reanalyze=again,
            )

        return call

    return {
        "plan": plan(batch.obs[0, :1], again=False),
        "replan 60": plan(stored, again=True),
        "update": lambda: released._update(batch.obs, batch.action, reward, experts),
    }
