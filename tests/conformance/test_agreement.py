"""A second witness: the package and the single-file references agree on random shapes.

The package, built from its shipped gin files, and `baselines/`, which share no code, get the same
parameters, batches and draws. Three updates are compared (losses, gradient norms, targets, running
scales, every parameter), then plans and, for BMPC, re-analysis and a pretraining update. Unlike the
golden numbers this covers dropout, termination and shapes other than one.

Agreement is |difference| / (1 + |reference|), to 1e-9 in float64; the two stay within 1e-12.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from support.agents import build, named_parameters, update
from torch import Tensor

from baselines import bmpc, tdmpc2, tdmpc_square
from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.core.types import Batch, EnvSpec, Gaussian, UpdateNoise
from mppi_zoo.planning.mppi import PlanIteration
from mppi_zoo.planning.mppi_noise import MPPINoise
from mppi_zoo.training.reanalysis import Reanalysis

TOLERANCE = 1e-9
F64 = torch.float64
STATES = 3  # planned at once where the reference plans in batches

Q_BMPC = ("POMPCAgent.critic=@QCritic", "QCritic.target_pair=@pair_mean")
GIN = {
    "tdmpc2": ("tdmpc2_equiv", ()),
    "bmpc": ("bmpc_equiv", ()),
    "bmpc_q": ("bmpc_equiv", Q_BMPC),
    "residual": ("tdmpc_square_equiv", ()),
    "awac": ("awac_mpc", ()),
    "bc": ("bc_mpc", ()),
    "bc_sac": ("bc_sac_mpc", ()),
}
COUNTS = {"tdmpc2": 8, "bmpc": 8, "bmpc_q": 8, "residual": 8, "awac": 6, "bc": 6, "bc_sac": 6}


@dataclass(frozen=True)
class Case:
    """Sizes and switches of one comparison."""

    member: str
    number: int
    obs_dim: int
    action_dim: int
    batch: int
    horizon: int
    latent_dim: int
    mlp_dim: int
    enc_dim: int
    num_enc_layers: int
    heads: int
    samples: int
    elites: int
    policy_samples: int
    iterations: int
    episode_length: int
    target_steps: int  # of BMPC's state values
    grad_clip_norm: float
    scale: float  # running scale to start from: 3 is above TD-M(PC)^2's threshold, 2 at it
    episodic: bool
    dropout: float

    def __str__(self) -> str:
        return f"{self.member}-{self.number}"

    @property
    def batched_plans(self) -> bool:
        return self.member.startswith("bmpc")


def random_case(member: str, number: int) -> Case:
    draw = random.Random(f"{member} {number}")
    bmpc_batch = draw.randint(19, 23)  # around the 20 windows that re-analysis renews
    samples = draw.randint(14, 30)
    return Case(
        member=member,
        number=number,
        obs_dim=draw.randint(1, 12),
        action_dim=1 + (number + draw.randint(0, 1)) % 7,
        batch=bmpc_batch if member.startswith("bmpc") else draw.randint(2, 12),
        horizon=draw.randint(1, 4),
        latent_dim=8 * draw.randint(1, 3),
        mlp_dim=draw.randint(5, 20),
        enc_dim=draw.randint(5, 20),
        num_enc_layers=draw.randint(1, 3),
        heads=draw.randint(2, 5),
        samples=samples,
        elites=draw.randint(2, samples - 4),
        policy_samples=draw.randint(1, samples - 1),
        iterations=draw.randint(1, 4),
        episode_length=draw.choice([20, 200, 500, 2000]),
        target_steps=draw.randint(1, 2),
        grad_clip_norm=draw.choice([0.5, 20.0]),
        scale=(1.0, 3.0, 2.0, 3.0)[(number // 2) % 4],
        episodic=number % 2 == 1,
        dropout=0.2 if (number // 2) % 2 else 0.0,
    )


CASES = [random_case(member, i) for member, count in COUNTS.items() for i in range(count)]


# ------------------------------------------------------------------------------ the two agents


def reference_agent(case: Case) -> Any:
    modules = {"tdmpc2": (tdmpc2, tdmpc2.TDMPC2), "bmpc": (bmpc, bmpc.BMPC)}
    module, agent_class = modules.get(
        case.member.removesuffix("_q"), (tdmpc_square, tdmpc_square.TDMPCSquare)
    )
    shared = ("obs_dim", "action_dim", "horizon", "latent_dim", "mlp_dim", "enc_dim", "samples")
    shared += ("num_enc_layers", "elites", "policy_samples", "iterations", "episode_length")
    shared += ("grad_clip_norm", "episodic", "dropout")
    settings: dict[str, Any] = {name: getattr(case, name) for name in shared}
    if module is bmpc:
        settings["critic"] = "q" if case.member == "bmpc_q" else "v"
        settings["td_horizon"] = case.target_steps
    elif module is tdmpc_square:
        settings["mode"] = case.member
    agent: Any = agent_class(module.Config(num_q=case.heads, **settings), F64)
    noisy = {name: p + 0.3 * torch.randn_like(p) for name, p in agent.named().items()}
    agent.load_named(noisy)
    agent.scale = torch.tensor(case.scale, dtype=F64)
    return agent


def package_agent(case: Case, parameters: dict[str, Tensor]) -> POMPCAgent:
    file, params = GIN[case.member]
    macros = ("horizon", "latent_dim", "mlp_dim", "enc_dim", "num_enc_layers", "samples")
    macros += ("elites", "policy_samples", "iterations")
    sizes = [f"{name}={getattr(case, name)}" for name in macros]
    critic = "VCritic" if case.member == "bmpc" else "QCritic"
    sizes += [f"{critic}.heads={case.heads}"]
    if case.member == "bmpc":
        sizes += [f"VCritic.target_steps={case.target_steps}"]
    clip = f"ClippedAdam.max_norm={case.grad_clip_norm}"
    spec = EnvSpec(case.obs_dim, case.action_dim, case.episode_length, case.episodic)
    agent = build(file, spec, *params, *sizes, clip)
    own = dict(named_parameters(agent))
    assert set(own) == set(parameters)
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(parameters[name])
    running_scale(agent).fill_(case.scale)
    return agent


def running_scale(agent: POMPCAgent) -> Tensor:
    """BMPC's scale follows the divergence, the others' the value."""
    running = getattr(agent.objective.kl_scale, "running", agent.objective.value_scale)
    return running.value


# ----------------------------------------------------------------------- batches and draws


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=F64)


def random_batch(case: Case) -> Batch:
    """Half of the steps have no plan, and some plans are narrower than the planner's least std."""
    steps, states = (case.horizon, case.batch), (case.horizon + 1, case.batch)
    planned = torch.rand(states) < 0.5
    mean = normal(*states, case.action_dim).tanh()
    std = 0.02 + normal(*states, case.action_dim) ** 2
    reward = 3 * normal(*steps)
    reward[0, 0] = 30_000.0  # beyond the two-hot bins
    return Batch(
        obs=normal(case.horizon + 1, case.batch, case.obs_dim),
        action=normal(*steps, case.action_dim).tanh(),
        reward=reward,
        terminated=(torch.rand(steps) < 0.3).to(F64) * case.episodic,
        plan=Gaussian(
            torch.where(planned.unsqueeze(-1), mean, 0.0),
            torch.where(planned.unsqueeze(-1), std, 1.0),
        ),
        planned=planned,
        index=torch.arange(case.horizon * case.batch).view(steps),
    )


def reference_batch(batch: Batch) -> dict[str, Tensor]:
    names = ("obs", "action", "reward", "terminated")
    found = {name: getattr(batch, name) for name in names}
    plan, _ = batch.plans()
    return found | {"mu": plan.mean.clone(), "std": plan.std.clone()}


def pair(case: Case) -> Tensor:
    return torch.randperm(case.heads)[:2]


def update_noise(case: Case, used: int) -> tuple[UpdateNoise, dict[str, Tensor]]:
    """One draw in both programs' records; ``used`` latents enter the policy loss."""
    steps = (case.horizon, case.batch)
    targets = case.target_steps if case.member == "bmpc" else 1

    def keep(heads: int, length: int) -> Tensor | None:
        if not case.dropout:
            return None
        kept = torch.rand(heads, length, case.batch, case.mlp_dim) >= case.dropout
        return kept.to(F64) / (1 - case.dropout)

    noise = UpdateNoise(
        target_policy=normal(targets, *steps, case.action_dim),
        target_heads=pair(case),
        policy=normal(case.horizon + 1, case.batch, case.action_dim),
        policy_heads=pair(case),
        baseline_heads=pair(case),
        value_keep=keep(case.heads, case.horizon),
        policy_keep=keep(2, case.horizon + 1),
        baseline_keep=keep(2, case.horizon),
    )
    draws = {
        "eps_td": noise.target_policy if case.member == "bmpc" else noise.target_policy[0],
        "heads_td": noise.target_heads,
        "eps_pi": noise.policy[:used],
        "heads_pi": noise.policy_heads,
        "heads_behaviour": noise.baseline_heads,
    }
    masks = {"dropout_model": noise.value_keep, "dropout_behaviour": noise.baseline_keep}
    if noise.policy_keep is not None:
        masks["dropout_pi"] = noise.policy_keep[:, :used]
    draws |= {name: mask for name, mask in masks.items() if mask is not None}
    return noise, draws


def random_plan_noise(case: Case, states: int) -> MPPINoise:
    drawn = case.samples - case.policy_samples
    return MPPINoise(
        policy=normal(case.horizon, states, case.policy_samples, case.action_dim),
        candidates=0.5 * normal(case.iterations, case.horizon, states, drawn, case.action_dim),
        terminal=normal(case.iterations, states, case.samples, case.action_dim),
        heads=torch.stack([pair(case) for _ in range(case.iterations)]),
        pick=torch.empty(states, case.elites, dtype=F64).exponential_(),
        action=normal(1, case.action_dim).expand(states, -1),
    )


def reference_plan_draws(case: Case, noise: MPPINoise) -> dict[str, Tensor]:
    """The references plan for one state, or with the batch axis elsewhere (BMPC)."""
    draws = {"eps_prior": noise.policy, "noise": noise.candidates.transpose(1, 2)}
    draws |= {"eps_terminal": noise.terminal, "heads": noise.heads, "exponential": noise.pick}
    if not case.batched_plans:
        axis = {"eps_prior": 1, "noise": 1, "eps_terminal": 1, "exponential": 0}
        draws |= {name: draws[name].squeeze(dim) for name, dim in axis.items()}
    return draws | {"eps_action": noise.action[0]}


# ------------------------------------------------------------------------------ comparison


def same(ours: Any, reference: Any, what: str) -> None:
    reference = torch.as_tensor(reference, dtype=F64)
    value = torch.as_tensor(ours, dtype=F64).detach()
    assert value.shape == reference.shape, f"{what}: {value.shape} is not {reference.shape}"
    assert torch.isfinite(reference).all(), f"{what}: the reference is not finite"
    error = ((value - reference).abs() / (1 + reference.abs())).max().item()
    assert error <= TOLERANCE, f"{what}: error {error:.2e}"


FIGURES = {
    "consistency_loss": "consistency_loss",
    "reward_loss": "reward_loss",
    "termination_loss": "termination_loss",
    "value_loss": "value_loss",
    "model_loss": "total_loss",
    "model_grad_norm": "grad_norm",
    "policy_loss": "pi_loss",
    "policy_grad_norm": "pi_grad_norm",
}


def compare_update(
    agent: POMPCAgent, reference: Any, case: Case, batch: Batch, pretraining: bool = False
) -> dict[str, Any]:
    critic: Any = agent.critic
    targets: list[Tensor] = []

    def target(*args: Any) -> Tensor:
        targets.append(type(critic).target(critic, *args))
        return targets[-1]

    critic.target = target  # the agent reports only the targets' mean
    noise, draws = update_noise(case, case.horizon + (case.member == "tdmpc2"))
    figures = update(agent, batch, noise, pretraining=pretraining)
    options = {"pretrain": True} if pretraining else {}
    info = reference.update(reference_batch(batch), draws, **options)

    same(targets[0], info["td_targets"], "targets")
    for ours, theirs in FIGURES.items():
        assert (ours in figures) == (theirs in info), ours
        if ours in figures:
            same(figures[ours], info[theirs], ours)
    same(running_scale(agent), reference.scale, "running scale")
    if "policy_q" in figures and "pi_q_raw" in info:
        same(figures["policy_q"], info["pi_q_raw"].mean(), "policy_q")
    if "kl_raw" in info:
        same(figures["divergence"], info["kl_raw"].mean(), "divergence")
    parameters = reference.named()
    for name, parameter in named_parameters(agent):
        same(parameter, parameters[name], name)
    return info


def undecided(case: Case, seen: list[PlanIteration]) -> Tensor:
    """[B] states where the last elite ties with the best candidate that was left out.

    Sequences that agree up to a predicted termination score the same, and which of them counts as
    the better one is then for the last digit to say: such a state decides nothing.
    """
    ties = []
    for step in seen:
        order = step.value.argsort(-1, descending=True)[:, case.elites - 1 : case.elites + 1]
        last, next_best = step.value.gather(1, order).unbind(1)
        rows = torch.arange(len(order))[:, None]
        sequences = step.actions.transpose(0, 1).transpose(1, 2)[rows, order]
        differ = (sequences[:, 0] != sequences[:, 1]).flatten(1).any(1)
        ties.append((last - next_best < TOLERANCE) & differ)
    return torch.stack(ties).any(0)


def compare_plan(
    agent: POMPCAgent,
    reference: Any,
    case: Case,
    obs: Tensor,
    previous: Tensor | None = None,
    explore: bool = False,
    replanning: bool = False,
) -> tuple[MPPINoise, Tensor, Any]:
    """One plan for observations [B, O]: the draws, the states [B] that it decides, the result."""
    warm = previous
    if warm is not None:
        warm = warm.transpose(0, 1) if case.batched_plans else warm.unsqueeze(1)
    bounds = agent.replan_log_std_bounds if replanning else None
    z, model = agent.world_model.encode(obs), agent.view(agent.networks, bounds)
    planner: Any = agent.planner
    for _ in range(50):
        noise, seen = random_plan_noise(case, len(obs)), []
        options: Any = {"warm_start": warm, "greedy": not explore}
        result = planner.plan(z, model, noise, **options, on_iteration=seen.append)
        clear = ~undecided(case, seen)
        if clear.float().mean() >= 0.5:
            break
    else:
        raise AssertionError("every draw ended in a tie")
    again = agent.replan(obs, noise) if replanning else agent.act(obs, noise, **options)
    for watched, cut in ((result.action, again.action), (result.mean, again.mean)):
        assert torch.allclose(watched, cut, rtol=0, atol=TOLERANCE)  # unwatched: in pieces

    options = {"proposal_bounds": bmpc.EXPLORATION_BOUNDS} if replanning else {}
    draws = reference_plan_draws(case, noise)
    single = obs if case.batched_plans else obs[0]
    plan = reference.plan(single, previous, explore, draws, **options)

    def compare(ours: Tensor, theirs: Tensor, what: str) -> None:
        theirs = theirs if case.batched_plans else theirs.unsqueeze(0)
        same(ours[clear], theirs[clear], what)

    for ours, theirs in zip(seen, zip(*plan.trace.values(), strict=True), strict=True):
        value, _, elite_value, score, mean, std = theirs
        compare(ours.value, value, "candidates' values")
        compare(ours.value.gather(1, ours.elites), elite_value, "elites' values")
        compare(ours.weights, score, "elites' weights")
        compare(ours.mean.transpose(0, 1), mean, "iteration's mean")
        compare(ours.std.transpose(0, 1), std, "iteration's std")
    compare(result.action, plan.action, "action")
    compare(result.dist.mean, plan.mu, "first action of the elite")
    compare(result.dist.std, plan.std, "first-step std")
    compare(result.mean.transpose(0, 1), plan.mean, "mean")
    return noise, clear, plan


class Written:
    """A replay that only remembers what was written back."""

    index: Tensor
    plan: Gaussian

    def write_plan(self, index: Tensor, plan: Gaussian) -> None:
        self.index, self.plan = index, plan


def compare_reanalysis(agent: POMPCAgent, reference: Any, case: Case, batch: Batch) -> Batch:
    """The shipped re-analysis when it is due; returns the batch with the reference's new plans."""
    count = min(20, case.batch)
    obs = batch.obs[:-1, :count]
    noise, clear, _ = compare_plan(agent, reference, case, obs.flatten(0, 1), replanning=True)
    renewed = torch.ones_like(batch.plans()[1])
    renewed[:, :count] = clear.unflatten(0, obs.shape[:2])
    stored = reference_batch(batch)
    mu, std = reference.reanalyze(stored, reference_plan_draws(case, noise))

    drawing: Any = agent
    drawing.draw_plan_noise = lambda *_: noise
    replanner = Execution(agent)
    replay: Any = Written()
    unused = torch.Generator()
    assert Reanalysis().refresh(replanner, replay, batch, 9, unused) is batch
    fresh = Reanalysis().refresh(replanner, replay, batch, 10, unused)
    plan, planned = fresh.plans()
    same(plan.mean[renewed], stored["mu"][renewed], "re-analysed means")
    same(plan.std[renewed], stored["std"][renewed], "re-analysed stds")
    written = renewed[:, :count]
    same(replay.plan.mean[written], mu[written], "written means")
    same(replay.plan.std[written], std[written], "written stds")
    assert torch.equal(replay.index, batch.index[:, :count])
    assert planned[:, :count].all()
    assert torch.equal(fresh.planned[:, count:], batch.planned[:, count:])
    whole = zip((stored["mu"], stored["std"]), fresh.plan, strict=True)
    return fresh._replace(plan=Gaussian(*(torch.cat([new, old[-1:]]) for new, old in whole)))


# ----------------------------------------------------------------------------------- tests


def test_the_cases_cover_what_they_should() -> None:
    assert len(CASES) == 50
    assert sum(case.episodic for case in CASES) == 25
    assert 20 <= sum(case.dropout > 0 for case in CASES) <= 30
    assert {case.action_dim for case in CASES} == set(range(1, 8))
    assert {case.horizon for case in CASES} == {1, 2, 3, 4}
    assert {case.heads for case in CASES} == {2, 3, 4, 5}
    assert {case.num_enc_layers for case in CASES} == {1, 2, 3}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_agreement(case: Case) -> None:
    torch.manual_seed(CASES.index(case))
    reference = reference_agent(case)
    agent = package_agent(case, reference.named())
    for number in range(3):
        batch = random_batch(case)
        if case.batched_plans and number == 2:
            batch = compare_reanalysis(agent, reference, case, batch)
        info = compare_update(agent, reference, case, batch)
        if case.member == "residual":  # the gate: on above the threshold, off below
            assert (info["prior_loss"] != 0) == (info["scale_after"] > 2)
    if case.member.startswith("bmpc"):
        compare_update(agent, reference, case, random_batch(case), pretraining=True)

    obs = normal(STATES if case.batched_plans else 1, case.obs_dim)
    for explore in (True, False):
        _, _, plan = compare_plan(agent, reference, case, obs, None, explore)
        compare_plan(agent, reference, case, obs, plan.mean, explore)
