"""Golden conformance: the shipped gin files reproduce the authors' released programs.

Agreement is |difference|/(1 + |reference|): 1e-9 in float64, 1e-4 in float32. The arrays that hold
TD-MPC2's and BMPC's log-probabilities are compared to 2e-6 and losses that contain them to 1e-7,
since those programs write ln sqrt(2 pi) as a float32.

One slip of the originals is not reproduced: in TD-M(PC)^2 and BOOM the previous step's policy
gradients still count in the norm by which the model's gradients are clipped. Their updates 2 and 3
are therefore not compared; the first update and the actor files are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from agents import DEVICE, build, load_parameters, named_parameters
from torch import Tensor

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.core.types import Batch, EnvSpec, Gaussian, PlanNoise, UpdateNoise
from mppi_zoo.planning.mppi import PlanIteration

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
    "tdmpc_square": ("tdmpc_square_equiv", ()),
    "boom": ("boom_equiv", ()),
}
STALE_GRADIENT_SLIP = ("tdmpc_square", "boom")


class Golden:
    """One file: arrays, a comparison, and the agent that it was recorded from."""

    def __init__(self, folder: Path, name: str, precision: str):
        self.arrays = np.load(folder / f"{name}_{precision}.npz")
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

    def batch(self, prefix: str) -> Batch:
        action = self[prefix + "in.action"]
        reward = self[prefix + "in.reward"].squeeze(-1)
        planned = prefix + "in.mu" in self
        plan = Gaussian(torch.zeros_like(action), torch.ones_like(action))
        if planned:
            plan = Gaussian(self[prefix + "in.mu"], self[prefix + "in.std"])
        return Batch(
            obs=self[prefix + "in.obs"],
            action=action,
            reward=reward,
            terminated=torch.zeros_like(reward),
            plan=plan,
            planned=torch.full_like(reward, planned, dtype=torch.bool),
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


def each(kinds: list[str]) -> Any:
    return pytest.mark.parametrize(
        ("kind", "precision"), [(kind, precision) for kind in kinds for precision in PRECISION]
    )


@each(list(MEMBER))
def test_single_calls(goldens: Path, kind: str, precision: str) -> None:
    golden = Golden(goldens, f"{kind}_update", precision)
    agent = golden.agent(kind)
    model, critic, two_hot = agent.world_model, agent.critic, agent.world_model.two_hot
    obs, action = golden["u0.in.obs"][0], golden["u0.in.action"][0]
    z = model.encode(obs)
    golden.same(z, "prim.z")
    golden.same(model.next(z, action), "prim.next_z")
    logits = model.reward_net(torch.cat([z, action], -1))
    golden.same(logits, "prim.reward_logits")
    golden.same(model.reward(z, action), "prim.reward")
    letter = "v" if "prim.v" in golden else "q"
    x = z if letter == "v" else torch.cat([z, action], -1)
    golden.same(critic.online(x), f"prim.{letter}_logits")
    golden.same(critic.two_hot.decode(critic.online(x)), f"prim.{letter}")
    sample = agent.policy.sample(z, golden["prim.pi.eps"])
    golden.same(sample.mean, "prim.pi.mean")
    golden.same(sample.action, "prim.pi.action")
    golden.same(agent.policy.act(z, golden["prim.pi.eps"]), "prim.pi.action")
    golden.same(torch.log(sample.std), "prim.pi.log_std")
    entropy = agent.objective.entropy(sample)
    if kind in STALE_GRADIENT_SLIP:
        golden.same(-entropy, "prim.pi.log_prob")
    else:
        golden.same(sample.log_prob_base - sample.squash, "prim.pi.log_prob", LOG_PROB)
        golden.same(sample.squash - sample.log_prob_base, "prim.pi.entropy", LOG_PROB)
        golden.same(entropy, "prim.pi.scaled_entropy", LOG_PROB)
    if "prim.pi_expl.eps" in golden:
        bounds = agent.replan_log_std_bounds
        assert bounds == (golden.hp("expl_log_std_min"), golden.hp("expl_log_std_max"))
        sample = agent.policy.sample(z, golden["prim.pi_expl.eps"], bounds)
        golden.same(sample.action, "prim.pi_expl.action")
        golden.same(torch.log(sample.std), "prim.pi_expl.log_std")
        golden.same(sample.log_prob_base, "prim.pi_expl.log_prob", LOG_PROB)
    x = golden["prim.two_hot.x"].squeeze(-1)
    golden.same(two_hot.encode(x), "prim.two_hot.target")
    golden.same(
        two_hot.cross_entropy(logits[: len(x)], x), "prim.two_hot.soft_ce_with_reward_logits"
    )
    scale, raw = agent.objective.value_scale, golden["prim.scale.x"].squeeze(-1)
    scale.value.fill_(1.0)
    scale.update(raw)
    low, high = golden["prim.scale.percentiles"].flatten()
    expected = 1 + 0.01 * (torch.clamp(high - low, min=1) - 1)
    assert torch.allclose(scale.value, expected.to(scale.value), rtol=1e-6)


@each(list(MEMBER))
def test_updates(goldens: Path, kind: str, precision: str) -> None:
    golden = Golden(goldens, f"{kind}_update", precision)
    agent = golden.agent(kind)
    running = getattr(agent.objective.kl_scale, "running", agent.objective.value_scale)
    running.value.fill_(float(golden["scale.before"]))
    slip = kind in STALE_GRADIENT_SLIP
    gradients: dict[str, Tensor] = {}
    for number in range(1 if slip else 3):
        prefix = f"u{number}."
        batch = golden.batch(prefix)
        noise = golden.update_noise(prefix + "rand.", batch)
        with torch.no_grad():
            latents = agent.world_model.encode(batch.obs)
            target = agent.critic.target(
                batch,
                latents,
                agent.policy,
                agent.world_model,
                noise.target_policy,
                noise.target_heads,
            )
        golden.same(target, prefix + "td_targets")
        if number == 0:
            gradients = _record_gradients(agent)
        zs, figures = agent.update_model(batch, noise)
        if number == 0:
            golden.same(zs, "u0.zs")
            golden.same(latents[1:], "u0.next_z")
        golden.same(figures["consistency_loss"], prefix + "consistency_loss")
        golden.same(figures["reward_loss"], prefix + "reward_loss")
        golden.same(figures["value_loss"], prefix + "value_loss")
        golden.same(figures["model_loss"], prefix + "total_loss")
        golden.same(figures["model_grad_norm"], prefix + "grad_norm")
        figures = agent.update_policy(zs, batch, 0, noise)
        golden.same(figures["policy_loss"], prefix + "pi_loss", WITH_LOG_PROB)
        golden.same(figures["policy_grad_norm"], prefix + "pi_grad_norm", WITH_LOG_PROB)
        golden.same(running.value, prefix + "scale_after")
        if prefix + "kl_raw" in golden:
            expected = golden[prefix + "kl_raw"].mean()
            assert torch.allclose(figures["divergence"], expected, rtol=100 * golden.tolerance)
        agent.critic.update_target()
        after = f"after{number + 1}."
        if number in (0, 2):
            for name, parameter in named_parameters(agent):
                golden.same(parameter, after + name)
    for name, gradient in gradients.items():
        golden.same(gradient, f"u0.grad.{name}", WITH_LOG_PROB if name.startswith("pi.") else 0.0)
    assert golden.compared > 60


def _record_gradients(agent: POMPCAgent) -> dict[str, Tensor]:
    """Gradients of the first update before clipping, caught by hooks as they are computed."""
    caught: dict[str, Tensor] = {}
    for name, parameter in named_parameters(agent):
        if not parameter.requires_grad:
            continue

        def keep(grad: Tensor, name: str = name) -> None:
            caught.setdefault(name, grad.clone())

        parameter.register_hook(keep)
    return caught


def _plan_noise(golden: Golden, prefix: str, batch: int, action_dim: int) -> PlanNoise:
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
    return PlanNoise(
        policy=policy,
        candidates=candidates,
        terminal=terminal,
        heads=golden[f"{prefix}rand.heads"],
        pick=pick,
        action=action.expand(batch, -1),
    )


def check_plan(golden: Golden, agent: POMPCAgent, case: str) -> None:
    prefix = f"{case}."
    obs = golden[prefix + "in.obs"]
    batch, action_dim = obs.shape[0], agent.spec.action_dim
    noise = _plan_noise(golden, prefix, batch, action_dim)
    seen: list[PlanIteration] = []
    warm = golden[prefix + "in.prev_mean"].reshape(agent.planner.horizon, -1, action_dim)
    replanning = case == "reanalyze"
    bounds = agent.replan_log_std_bounds if replanning else None
    result = agent.planner.plan(
        agent.world_model.encode(obs),
        agent.planning_model(bounds),
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
        replan = agent.replan(obs, noise)
        for ours, again in zip(result.dist, replan.dist, strict=True):
            assert torch.equal(ours, again)
    if prefix + "action_dist" in golden:
        golden.same(torch.cat(result.dist, -1), prefix + "action_dist")
        golden.same(result.value, prefix + "action_value")
    if prefix + "mu" in golden:
        golden.same(result.dist.mean, prefix + "mu")
        golden.same(result.dist.std, prefix + "std0")


@each(list(MEMBER))
def test_plans(goldens: Path, kind: str, precision: str) -> None:
    golden = Golden(goldens, f"{kind}_plan", precision)
    agent = golden.agent(kind)
    cases = ["t0_train", "warm_train", "warm_eval", "t0_eval"]
    if "reanalyze.in.obs" in golden:
        cases.append("reanalyze")
    for case in cases:
        check_plan(golden, agent, case)
    assert golden.compared >= 4 * len(cases)


ACTOR_MODES = {
    "sac_scale1": ("tdmpc_square_equiv", ("KLObjective.lam=0.0",)),
    "residual_scale1.5": ("tdmpc_square_equiv", ()),
    "residual_scale3": ("tdmpc_square_equiv", ()),
    "awac_scale3": ("awac_mpc", ()),
    "bc_sac_scale3": ("bc_sac_mpc", ()),
    "bc_scale3": ("bc_mpc", ()),
}


def _actor_step(golden: Golden, agent: POMPCAgent, prefix: str) -> dict[str, Tensor]:
    batch = golden.batch("")
    noise = golden.update_noise(prefix + "rand.", batch)
    running = agent.objective.value_scale.value
    before = prefix + "scale_before"
    running.fill_(float(golden[before]))
    zs = torch.cat([golden["in.zs"], golden["in.zs"][-1:]])
    gradients = _record_gradients(agent)
    figures = agent.update_policy(zs, batch, 0, noise)
    golden.same(figures["policy_loss"], prefix + "pi_loss")
    golden.same(figures["policy_grad_norm"], prefix + "pi_grad_norm")
    for name, parameter in named_parameters(agent):
        if name.startswith("pi."):
            golden.same(gradients[name], f"{prefix}grad.{name}")
            golden.same(parameter, f"{prefix}after.{name}")
    return figures


@pytest.mark.parametrize("precision", list(PRECISION))
@pytest.mark.parametrize("mode", list(ACTOR_MODES))
def test_tdmpc_square_actor(goldens: Path, mode: str, precision: str) -> None:
    golden = Golden(goldens, "tdmpc_square_actor", precision)
    member, params = ACTOR_MODES[mode]
    agent = golden.agent("tdmpc_square", member, *params)
    figures = _actor_step(golden, agent, f"{mode}.")
    if agent.objective.needs_value:
        golden.same(agent.objective.value_scale.value, f"{mode}.scale_after")
        golden.same_tensor(figures["policy_q"], golden[f"{mode}.pi_q_raw"].mean(), key="pi_q_raw")


@pytest.mark.parametrize("precision", list(PRECISION))
@pytest.mark.parametrize("scale", ["scale1.5", "scale3"])
@pytest.mark.parametrize("name", ["boom_actor", "boom_actor_wide"])
def test_boom_actor(goldens: Path, name: str, scale: str, precision: str) -> None:
    golden = Golden(goldens, name, precision)
    agent = golden.agent("boom")
    _actor_step(golden, agent, f"{scale}.")
    golden.same(agent.objective.value_scale.value, f"{scale}.scale_after")
    weight = agent.objective.lam.weights(0)[1]
    expected = golden.hp("kl_lambda") * golden.hp("action_dim")
    assert weight.item() == pytest.approx(expected, rel=1e-6)
    simnorm_left_out = "hp.simnorm_identity" in golden and golden.hp("simnorm_identity") == 1
    z = agent.world_model.encode(golden["in.obs"][0])
    assert (z.min() < 0) == simnorm_left_out
    golden.same_tensor(z, golden["in.zs"][0], key="in.zs")
