"""The golden numbers: one recorded file, its agent, and the comparison of a plan with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gin
import numpy as np
import torch
from support.agents import DEVICE, build, load_parameters
from torch import Tensor

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.core.types import Batch, EnvSpec, Gaussian, UpdateNoise
from mppi_zoo.planning.mppi import PlanIteration
from mppi_zoo.planning.mppi_noise import MPPINoise

PRECISION = {"f64": (torch.float64, 1e-9), "f32": (torch.float32, 1e-4)}
LOG_PROB, WITH_LOG_PROB = 2e-6, 1e-7
Q_BMPC = (
    "POMPCAgent.critic=@QCritic",
    "QCritic.heads=2",
    "QCritic.target_pair=@pair_mean",
    "QCritic.hidden_init=@truncated_normal_init",
)
MEMBER = {
    "tdmpc2": ("tdmpc2_equiv", ()),
    "bmpc": ("bmpc_equiv", ()),
    "bmpc_q": ("bmpc_equiv", Q_BMPC),
    # what PO-MPC's author calls Variant 3 of BMPC: the limit of its replay prior
    "pompc_limit": ("pompc_replay", (*Q_BMPC, "KLObjective.lam=@Infinite()")),
    "tdmpc_square": ("tdmpc_square_equiv", ()),
    "boom": ("boom_equiv", ()),
}
RECORDED = {"pompc_limit": "bmpc_q"}  # kinds whose numbers lie in the files of another
STALE_GRADIENT_SLIP = ("tdmpc_square", "boom")


class Golden:
    """One file: arrays, a comparison, and the agent that it was recorded from."""

    def __init__(self, folder: Path, name: str, precision: str):
        kind, _, what = name.rpartition("_")
        self.arrays = np.load(folder / f"{RECORDED.get(kind, kind)}_{what}_{precision}.npz")
        self.dtype, self.tolerance = PRECISION[precision]
        self.compared = 0

    def __getitem__(self, key: str) -> Tensor:
        value = torch.from_numpy(self.arrays[key]).to(DEVICE)
        return value.to(self.dtype) if value.is_floating_point() else value

    def __contains__(self, key: str) -> bool:
        return key in self.arrays.files

    def hp(self, key: str) -> float:
        return float(self.arrays[f"hp.{key}"])

    def same(self, ours: Tensor, key: str, tolerance: float = 0.0) -> None:
        self.same_tensor(ours, self[key], tolerance, key)

    def same_tensor(
        self, ours: Tensor, reference: Tensor, tolerance: float = 0.0, key: str = ""
    ) -> None:
        reference = reference.double()
        value = ours.detach().double().reshape(reference.shape)
        error = ((value - reference).abs() / (1 + reference.abs())).max().item()
        self.judge(key, error, max(tolerance, self.tolerance))

    def same_sets(self, ours: Tensor, key: str) -> None:
        """As sets: in float32 two elites whose scores are a rounding apart may swap places."""
        theirs = self[key].reshape(ours.shape)
        found = (ours.unsqueeze(-1) == theirs.unsqueeze(-2)).any(-1).double()
        self.judge(key, 1 - found.mean().item(), 0.0)

    def judge(self, key: str, error: float, limit: float) -> None:
        assert error <= limit, f"{key}: error {error:.2e} > {limit:.0e}"
        self.compared += 1

    def agent(self, kind: str, member: str | None = None, *extra: str) -> POMPCAgent:
        shipped, params = MEMBER[kind]
        obs_dim = self.arrays["param.encoder.0.weight"].shape[1]
        spec = EnvSpec(obs_dim, int(self.hp("action_dim")), 500)
        agent = build(
            member or shipped,
            spec,
            *params,
            *extra,
            f"WorldModel.discount={self.hp('discount')}",
            f"ClippedAdam.max_norm={self.hp('grad_clip_norm')}",
            "MPPIPlanner.wide_extra=0",
            dtype=self.dtype,
        )
        load_parameters(agent, self.arrays, "param.")
        return agent

    def execution(self, kind: str) -> Execution:
        return gin.get_configurable(Execution)(self.agent(kind))

    def batch(self, prefix: str) -> Batch:
        action = self[prefix + "in.action"]
        reward = self[prefix + "in.reward"].squeeze(-1)
        planned = prefix + "in.mu" in self
        last = torch.zeros_like(action[:1])  # the windows' last observation has no plan
        mean, std = torch.zeros_like(action), torch.ones_like(action)
        if planned:
            mean, std = self[prefix + "in.mu"], self[prefix + "in.std"]
        whole = torch.full((len(action) + 1, *reward.shape[1:]), planned, device=reward.device)
        whole[-1] = False
        return Batch(
            obs=self[prefix + "in.obs"],
            action=action,
            reward=reward,
            terminated=torch.zeros_like(reward),
            plan=Gaussian(torch.cat([mean, last]), torch.cat([std, last + 1])),
            planned=whole,
            index=torch.zeros_like(reward, dtype=torch.int64),
        )

    def update_noise(self, prefix: str, batch: Batch) -> UpdateNoise:
        pair = torch.arange(2, device=DEVICE)
        policy = self[prefix + "eps_pi"]
        heads_td, heads_pi = prefix + "heads_td", prefix + "heads_pi"
        behaviour = prefix + "heads_behaviour"
        return UpdateNoise(
            target_policy=self[prefix + "eps_td"].unsqueeze(0)
            if prefix + "eps_td" in self
            else policy.unsqueeze(0),
            target_heads=self[heads_td] if heads_td in self else pair,
            policy=policy,
            policy_heads=self[heads_pi] if heads_pi in self else pair,
            baseline_heads=self[behaviour] if behaviour in self else pair,
            value_keep=None,
            policy_keep=None,
            baseline_keep=None,
        )


def _plan_noise(golden: Golden, prefix: str, batch: int, action_dim: int) -> MPPINoise:
    """The recorded draws; arrays of the single-state programs get their batch axis here."""

    def draw(name: str, batched_ndim: int, axis: int) -> Tensor | None:
        key = f"{prefix}rand.{name}"
        if key not in golden:
            return None
        value = golden[key]
        return value.unsqueeze(axis) if value.ndim < batched_ndim else value

    policy = draw("eps_prior", 4, 1)
    candidates = draw("noise", 5, 1)
    assert policy is not None and candidates is not None
    candidates = candidates.transpose(1, 2)  # recorded as [J, B, H, n, A]
    iterations, samples = candidates.shape[0], candidates.shape[3] + policy.shape[2]
    terminal = draw("eps_terminal", 4, 1)
    if terminal is None:
        terminal = policy.new_zeros(iterations, batch, samples, action_dim)
    pick = draw("exponential", 2, 0)
    if pick is None:  # recorded as the index that was picked: an Exp(1) draw that leads to it
        elites = golden[f"{prefix}iter.elite_idxs"].shape[-1]
        pick = policy.new_ones(batch, elites)
        pick[:, int(golden[f"{prefix}rand.choice_u_idx"][1])] = 1e-30
    action = draw("eps_action", 2, 0)
    if action is None:
        action = policy.new_zeros(1, action_dim)
    return MPPINoise(
        policy=policy,
        candidates=candidates,
        terminal=terminal,
        heads=golden[f"{prefix}rand.heads"],
        pick=pick,
        action=action.expand(batch, -1),
    )


def check_action(golden: Golden, execution: Execution, case: str) -> None:
    """A plan as a run makes it: nobody watches its iterations, so it may be compiled."""
    agent, prefix = execution.agent, f"{case}."
    obs, action_dim = golden[prefix + "in.obs"], agent.spec.action_dim
    noise = _plan_noise(golden, prefix, obs.shape[0], action_dim)
    warm = golden[prefix + "in.prev_mean"].reshape(agent.planner.horizon, -1, action_dim)
    warm_start = warm if "warm" in case else None
    result = execution.act(obs, noise, warm_start=warm_start, greedy="train" not in case)
    golden.same(result.action, prefix + "action")
    golden.same(result.mean, prefix + "prev_mean_after")


def check_plan(golden: Golden, execution: Execution, case: str) -> None:
    agent, prefix = execution.agent, f"{case}."
    planner: Any = agent.planner
    obs = golden[prefix + "in.obs"]
    batch, action_dim = obs.shape[0], agent.spec.action_dim
    noise = _plan_noise(golden, prefix, batch, action_dim)
    seen: list[PlanIteration] = []
    warm = golden[prefix + "in.prev_mean"].reshape(agent.planner.horizon, -1, action_dim)
    replanning = case == "reanalyze"
    bounds = agent.replan_log_std_bounds if replanning else None
    result = planner.plan(
        agent.world_model.encode(obs),
        execution.planning_model(bounds),
        noise,
        warm_start=warm if "warm" in case else None,
        greedy="train" not in case,
        on_iteration=seen.append,
    )

    def stacked(field: str) -> Tensor:
        return torch.stack([getattr(iteration, field) for iteration in seen])

    golden.same(stacked("value"), prefix + "iter.value")
    golden.same_sets(stacked("elites"), prefix + "iter.elite_idxs")
    golden.same(stacked("weights"), prefix + "iter.score")
    for name in ("mean", "std"):
        moments = stacked(name).transpose(1, 2)  # recorded as [J, B, H, A]
        golden.same(moments, f"{prefix}iter.{name}")
    if not replanning:  # which adds one exploration draw to all its states, and nobody reads it
        golden.same(result.action, prefix + "action")
        golden.same(result.mean, prefix + "prev_mean_after")
    else:
        replan = execution.replan(obs, noise)
        for ours, again in zip(result.dist, replan.dist, strict=True):
            assert torch.equal(ours, again)
    if prefix + "action_dist" in golden:
        golden.same(torch.cat(result.dist, -1), prefix + "action_dist")
        golden.same(result.value, prefix + "action_value")
    if prefix + "mu" in golden:
        golden.same(result.dist.mean, prefix + "mu")
        golden.same(result.dist.std, prefix + "std0")
