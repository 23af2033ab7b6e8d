"""The single-file references against numbers recorded from the authors' released programs.

Every array of the files is compared, by |difference| / (1 + |reference|); a test fails when a file
holds a result that it did not compare. The folder of goldens is `goldens/algorithms` under
$MPPI_ZOO_SHARED, or else under a folder `shared` beside the repository.
"""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines import bmpc, tdmpc2, tdmpc_square

SHARED = os.environ.get("MPPI_ZOO_SHARED") or Path(__file__).resolve().parents[2].parent / "shared"
GOLDENS = Path(SHARED) / "goldens" / "algorithms"

MODULES = {"tdmpc2": tdmpc2, "bmpc": bmpc, "bmpc_q": bmpc, "tdmpc_square": tdmpc_square}
AGENTS = {
    "tdmpc2": tdmpc2.TDMPC2,
    "bmpc": bmpc.BMPC,
    "bmpc_q": bmpc.BMPC,
    "tdmpc_square": tdmpc_square.TDMPCSquare,
}
DTYPES = {"f64": torch.float64, "f32": torch.float32}
PLAN_CASES = ("t0_train", "warm_train", "warm_eval", "t0_eval")

members = pytest.mark.parametrize("member", list(AGENTS))
precisions = pytest.mark.parametrize("precision", list(DTYPES))


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Golden:
    """One file: its tensors in the working precision, and a record of what has been compared."""

    def __init__(self, name: str, precision: str, rounded_log_prob: bool = False) -> None:
        path = GOLDENS / f"{name}_{precision}.npz"
        if not path.is_file():
            pytest.skip(f"golden numbers not found: {path} (set MPPI_ZOO_SHARED)")
        with np.load(path) as file:
            self.arrays = {key: file[key] for key in file.files}
        self.precision = precision
        self.dtype = DTYPES[precision]
        # The releases of TD-MPC2 and BMPC round log sqrt(2 pi) to float32.
        self.rounded_log_prob = rounded_log_prob
        self.compared: set[str] = set()
        self.worst: dict[str, float] = {}

    def tensor(self, key: str) -> Tensor:
        value = torch.as_tensor(self.arrays[key])
        return value.to(self.dtype) if value.is_floating_point() else value

    def under(self, prefix: str) -> dict[str, Tensor]:
        return {k[len(prefix) :]: self.tensor(k) for k in self.arrays if k.startswith(prefix)}

    def setting(self, name: str) -> float:
        return float(self.arrays[f"hp.{name}"])

    def tolerance(self, key: str) -> float:
        if self.precision == "f32":
            return 1e-4
        if self.rounded_log_prob and key.endswith(("log_prob", "entropy")):
            return 2e-6
        if self.rounded_log_prob and key.endswith("pi_loss"):
            return 1e-7
        return 1e-9

    def compare(self, key: str, actual: Any) -> None:
        reference = self.tensor(key)
        value = torch.as_tensor(actual, dtype=reference.dtype).detach().reshape(reference.shape)
        error = ((value - reference).abs() / (1 + reference.abs())).max().item()
        assert error <= self.tolerance(key), f"{key}: {error:.2e}"
        self.compared.add(key)
        self.worst[key] = error

    def compare_all(self, prefix: str, actual: dict[str, Any]) -> None:
        """Every result of the file under this prefix must be in `actual`."""
        for key in self.results(prefix):
            self.compare(key, actual[key[len(prefix) :]])

    def results(self, prefix: str = "") -> list[str]:
        inputs = ("hp.", "param.", "in.", "rand.", "scale.before", "scale_before")
        return [
            key
            for key in self.arrays
            if key.startswith(prefix)
            and not any(key.startswith(i) or f".{i}" in key for i in inputs)
            and not key.endswith(("pi.eps", "pi_expl.eps", "scale.x", "two_hot.x"))
            and not key.endswith("pi_info.action_prob")  # a constant without meaning
        ]

    def assert_complete(self) -> None:
        assert set(self.results()) <= self.compared, set(self.results()) - self.compared


def load(member: str, kind: str, precision: str) -> Golden:
    rounded = member != "tdmpc_square"
    return Golden(f"{member}_{kind}", precision, rounded_log_prob=rounded)


def make_agent(member: str, golden: Golden, **settings: Any) -> Any:
    """An agent of the file's sizes with the file's parameters."""
    integers = {
        "action_dim": "action_dim",
        "enc_dim": "enc_dim",
        "mlp_dim": "mlp_dim",
        "latent_dim": "latent_dim",
        "num_q": "num_q",
        "horizon": "horizon",
        "iterations": "iterations",
        "samples": "num_samples",
        "elites": "num_elites",
        "policy_samples": "num_pi_trajs",
    }
    sizes = {name: int(golden.setting(key)) for name, key in integers.items()}
    if member.startswith("bmpc"):
        settings["critic"] = "q" if member == "bmpc_q" else "v"
    config = MODULES[member].Config(
        obs_dim=golden.arrays["param.encoder.0.weight"].shape[1],
        discount=golden.setting("discount"),
        grad_clip_norm=golden.setting("grad_clip_norm"),
        dropout=0.0,
        **sizes,
        **settings,
    )
    agent = AGENTS[member](config, golden.dtype)
    params = golden.under("param.")
    assert set(agent.named()) == set(params)
    agent.load_named(params)
    return agent


def batch_of(golden: Golden, prefix: str) -> dict[str, Tensor]:
    names = {"obs": "obs", "action": "action", "reward": "reward", "mu": "mu", "std": "std"}
    found = {n: golden.tensor(prefix + k) for n, k in names.items() if prefix + k in golden.arrays}
    found["reward"] = found["reward"].squeeze(-1)
    return found


def gradients(info: dict[str, Any]) -> dict[str, Tensor]:
    """Under one roof: the model's gradients from its own loss, the policy's from the policy's."""
    policy = {n: g for n, g in info["pi_grad"].items() if n.startswith("pi.")}
    return {f"grad.{name}": g for name, g in {**info.get("grad", {}), **policy}.items()}


# --------------------------------------------------------------------------------- settings


@members
def test_constants_are_the_released_settings(member: str) -> None:
    golden, module = load(member, "update", "f64"), MODULES[member]
    low, high = getattr(module, "LOG_STD_BOUNDS", None) or (module.LOG_STD_MIN, module.LOG_STD_MAX)
    expected = {
        "reward_coef": module.REWARD,
        "value_coef": module.VALUE,
        "consistency_coef": module.CONSISTENCY,
        "entropy_coef": module.ENTROPY,
        "rho": module.RHO,
        "tau": module.TAU,
        "lr": module.LEARNING_RATE,
        "enc_lr_scale": module.ENCODER_LEARNING_RATE / module.LEARNING_RATE,
        "pi_adam_eps": module.POLICY_ADAM_EPS,
        "min_std": module.MIN_STD,
        "max_std": module.MAX_STD,
        "temperature": module.TEMPERATURE,
        "log_std_min": low,
        "log_std_max": high,
        "num_bins": module.BINS,
        "vmin": module.VMIN,
        "vmax": module.VMAX,
        "simnorm_dim": module.SIMPLEX,
    }
    if member.startswith("bmpc"):
        expected["expl_log_std_min"], expected["expl_log_std_max"] = module.EXPLORATION_BOUNDS
        expected["td_horizon"] = module.Config.td_horizon
    if member == "tdmpc_square":
        expected["prior_coef"] = module.PRIOR
        expected["scale_threshold"] = module.SCALE_THRESHOLD
        expected["awac_lambda"] = module.AWAC_TEMPERATURE
        expected["exp_adv_min"], expected["exp_adv_max"] = module.AWAC_MIN, module.AWAC_MAX
    assert expected == pytest.approx({name: golden.setting(name) for name in expected})


@pytest.mark.parametrize(
    ("module", "agent_class", "sizes", "count"),
    [
        (tdmpc2, tdmpc2.TDMPC2, {}, 4_960_618),
        (
            tdmpc2,
            tdmpc2.TDMPC2,
            {"enc_dim": 256, "mlp_dim": 384, "latent_dim": 128, "num_q": 2},
            1_214_651,
        ),
        (bmpc, bmpc.BMPC, {}, 3_207_739),
        (tdmpc_square, tdmpc_square.TDMPCSquare, {}, 4_960_618),
    ],
    ids=["tdmpc2", "tdmpc2_size1", "bmpc", "tdmpc_square"],
)
def test_published_parameter_counts(
    module: ModuleType, agent_class: Any, sizes: dict[str, int], count: int
) -> None:
    agent = agent_class(module.Config(24, 6, **sizes))
    own = [p for name, p in agent.named().items() if not name.startswith("target_")]
    assert sum(p.numel() for p in own) == count


# ------------------------------------------------------------------------------- update files


def compare_primitives(member: str, golden: Golden, agent: Any) -> None:
    """Single calls of every network and of the two-hot functions."""
    module = MODULES[member]
    z = agent.encoder(golden.tensor("u0.in.obs")[0])
    action = golden.tensor("u0.in.action")[0]
    z_action = torch.cat([z, action], -1)
    reward_logits = agent.reward(z_action)
    kind = "v" if member == "bmpc" else "q"
    critic, critic_inputs = agent.nets[kind], z if kind == "v" else z_action
    critic_logits = critic(critic_inputs, range(agent.config.num_q))
    x = golden.tensor("prim.two_hot.x").squeeze(-1)
    results = {
        "z": z,
        "next_z": agent.next_latent(z, action),
        "reward_logits": reward_logits,
        "reward": module.decode(reward_logits),
        f"{kind}_logits": critic_logits,
        kind: module.decode(critic_logits),
        "two_hot.symlog": module.symlog(x),
        "two_hot.symexp_symlog": module.symexp(module.symlog(x)),
        "two_hot.target": module.two_hot(x),
        "two_hot.soft_ce_with_reward_logits": module.cross_entropy(reward_logits[: len(x)], x),
    }
    samples = {"pi.": agent.policy(z, golden.tensor("prim.pi.eps"))}
    if member.startswith("bmpc"):
        eps = golden.tensor("prim.pi_expl.eps")
        samples["pi_expl."] = agent.policy(z, eps, module.EXPLORATION_BOUNDS)
    for prefix, sample in samples.items():
        results |= {prefix + name: value for name, value in sample._asdict().items()}
        results[prefix + "entropy"] = -sample.log_prob
    if member == "tdmpc_square":
        results["log_pi_action"] = agent.log_prob_of_stored(z, action)
    # The references have no function for the percentiles alone: read them off the running scale.
    values = golden.tensor("prim.scale.x").squeeze(-1)
    low, high = golden.tensor("prim.scale.percentiles").squeeze(-1)
    spread = torch.quantile(values, torch.tensor([0.05, 0.95], dtype=golden.dtype))
    results["scale.percentiles"] = spread
    one = torch.ones((), dtype=golden.dtype)
    expected = 1 + module.TAU * (max(1.0, float(high - low)) - 1)
    assert module.updated_scale(one, values).item() == pytest.approx(expected, rel=1e-6)
    golden.compare_all("prim.", results)


def update_info(info: dict[str, Any]) -> dict[str, Any]:
    """An update's results under the names that the update files use."""
    results = {**info, **gradients(info)}
    for name, value in list(info.items()):
        if name.startswith("pi_info."):
            results.setdefault("pi_action", info["pi_info.action"])
            results["pi_info.entropy"] = -info["pi_info.log_prob"]
        if not name.startswith("pi_"):  # TD-M(PC)^2's actor results carry a prefix in these files
            results.setdefault(f"pi_{name}", value)
    if "qs" in info:
        results["pi_q_scaled"] = info["qs"]
    return results


@members
@precisions
def test_update(member: str, precision: str) -> None:
    """Three updates in a row, down to every parameter after the first and the third."""
    golden = load(member, "update", precision)
    agent = make_agent(member, golden)
    compare_primitives(member, golden, agent)
    policy_norm = 0.0
    for number in range(3):
        prefix = f"u{number}."
        batch, noise = batch_of(golden, prefix + "in."), golden.under(prefix + "rand.")
        if member == "tdmpc_square" and number > 0:
            info = update_with_the_release_slip(agent, golden, prefix, batch, noise, policy_norm)
        else:
            info = agent.update(batch, noise)
        results = update_info(info)
        if member == "tdmpc_square":
            results["pi_action"] = batch[
                "action"
            ]  # what the release passes in, not what it samples
        golden.compare_all(prefix, results)
        clip = golden.setting("grad_clip_norm")
        norm = float(info["pi_grad_norm"])
        policy_norm = norm * min(1.0, clip / (norm + 1e-6))
        if number in (0, 2):
            golden.compare_all(f"after{number + 1}.", agent.named())
    golden.assert_complete()


def update_with_the_release_slip(
    agent: Any,
    golden: Golden,
    prefix: str,
    batch: dict[str, Tensor],
    noise: dict[str, Tensor],
    policy_norm: float,
) -> dict[str, Any]:
    """Replay TD-M(PC)^2's second and third update, whose model step was clipped by too much.

    The release counts the previous update's (clipped) policy gradients in the norm by which it
    clips the model's. The reference does not, so the test lowers the clip by as much for this
    one step; everything else of those updates can then be compared as well.
    """
    clip, config = agent.config.grad_clip_norm, agent.config
    joint = float(golden.tensor(prefix + "grad_norm"))
    own = math.sqrt(joint**2 - policy_norm**2)
    agent.config = replace(config, grad_clip_norm=clip * (own + 1e-6) / (joint + 1e-6))
    info = agent.model_step(batch, noise)
    agent.config = config
    info["grad_norm"] = torch.hypot(info["grad_norm"], info["grad_norm"].new_tensor(policy_norm))
    info.update(agent.policy_step(info["zs"][:-1], batch, noise))
    agent.target_step()
    return info


# --------------------------------------------------------------------------------- plan files


def compare_plan(golden: Golden, prefix: str, plan: Any) -> None:
    results = {f"iter.{name}": torch.stack(steps) for name, steps in plan.trace.items()}
    results |= {"action": plan.action, "prev_mean_after": plan.mean}
    results |= {"mu": plan.mu, "std0": plan.std}
    key = f"{prefix}iter.elite_idxs"
    if golden.precision == "f32":  # nearly equal elites may change places among themselves
        golden.arrays[key] = np.sort(golden.arrays[key], axis=-1)
        results["iter.elite_idxs"] = results["iter.elite_idxs"].sort(-1).values
    if hasattr(plan, "value"):
        results["action_dist"] = torch.cat([plan.mu, plan.std], -1)
        results["action_value"] = plan.value
    golden.compare_all(prefix, results)


@members
@precisions
def test_plan(member: str, precision: str) -> None:
    """Acting, from the first step of an episode and later, with and without exploration.

    The float32 files select the same elites: no candidates at a boundary are close enough for one
    to displace the other.
    """
    golden = load(member, "plan", precision)
    agent = make_agent(member, golden)
    for case in PLAN_CASES:
        obs, previous = golden.tensor(f"{case}.in.obs"), golden.tensor(f"{case}.in.prev_mean")
        noise = golden.under(f"{case}.rand.")
        if "choice_u_idx" in noise:
            noise["choice_u"] = noise.pop("choice_u_idx")[0]
        plan = agent.plan(
            obs if member.startswith("bmpc") else obs[0],
            None if case.startswith("t0") else previous,
            explore=case.endswith("train"),
            noise=noise,
        )
        compare_plan(golden, f"{case}.", plan)
    if member.startswith("bmpc"):
        compare_reanalysis(golden, agent)
    golden.assert_complete()


def compare_reanalysis(golden: Golden, agent: Any) -> None:
    """Five states at once, proposals within the exploration bounds, no memory."""
    obs, noise = golden.tensor("reanalyze.in.obs"), golden.under("reanalyze.rand.")
    plan = agent.plan(obs, None, True, noise, bmpc.EXPLORATION_BOUNDS)
    memory = golden.tensor("reanalyze.in.prev_mean")
    compare_plan(golden, "reanalyze.", plan._replace(mean=memory))

    # The same through `reanalyze`: one window too many, and it must keep what was stored.
    horizon, windows = 1, len(obs)
    batch = {"obs": torch.stack([obs, obs]), "mu": torch.zeros(horizon, windows, 4)}
    batch = {**batch, "mu": batch["mu"].to(golden.dtype), "std": batch["mu"].to(golden.dtype)}
    mu, std = agent.reanalyze(batch, noise)
    assert torch.equal(mu[0], plan.mu) and torch.equal(std[0], plan.std)
    assert torch.equal(batch["mu"], mu) and torch.equal(batch["std"], std)


# ------------------------------------------------------------------ TD-M(PC)^2's actor alone


@pytest.mark.parametrize(
    "case",
    ["sac_scale1", "residual_scale1.5", "residual_scale3"]
    + ["awac_scale3", "bc_sac_scale3", "bc_scale3"],
)
@precisions
def test_actor(case: str, precision: str) -> None:
    """One policy step in each mode, from a given scale."""
    golden, prefix = load("tdmpc_square", "actor", precision), f"{case}."
    agent = make_agent("tdmpc_square", golden, mode=case.split("_scale")[0])
    agent.scale = golden.tensor(prefix + "scale_before")
    noise = golden.under(prefix + "rand.")
    zs = [agent.encoder(golden.tensor("in.obs")[0])]
    for action in golden.tensor("in.action")[:-1]:
        zs.append(agent.next_latent(zs[-1], action))
    torch.testing.assert_close(torch.stack(zs), golden.tensor("in.zs"))
    info = agent.policy_step(golden.tensor("in.zs"), batch_of(golden, "in."), noise)
    after = {f"after.{name}": value for name, value in agent.named().items()}
    golden.compare_all(prefix, {**info, **gradients(info), **after})
    assert set(golden.results(prefix)) <= golden.compared


# ------------------------------------------------------------------------ a real checkpoint


@precisions
def test_official_checkpoint(precision: str) -> None:
    """TD-MPC2's own file at its smallest published size: networks and plans at full settings."""
    golden = Golden("tdmpc2_official_size1_expected", precision, rounded_log_prob=True)
    saved = torch.load(GOLDENS / "tdmpc2_official_size1.pt", weights_only=True)["model"]
    places = {"_encoder.state.": "encoder.", "_dynamics.": "dynamics.", "_reward.": "reward."}
    places |= {"_pi.": "pi.", "_Qs.params.": "q.", "_target_Qs_params.": "target_q."}
    for key, value in saved.items():
        for place, net in places.items():
            if key.startswith(place) and isinstance(value, Tensor):
                golden.arrays["param." + net + key[len(place) :]] = value.numpy()
    agent = make_agent("tdmpc2", golden)
    length = int(golden.setting("episode_length"))
    assert tdmpc2.discount_of(length) == pytest.approx(golden.setting("discount"))

    z, action = agent.encoder(golden.tensor("in.obs")), golden.tensor("in.action")
    z_action = torch.cat([z, action], -1)
    results = {
        "z": z,
        "next_z": agent.next_latent(z, action),
        "reward_logits": agent.reward(z_action),
        "reward": agent.predicted_reward(z, action),
        "q_logits": agent.q(z_action, range(2)),
        "q": tdmpc2.decode(agent.q(z_action, range(2))),
        "target_q_logits": agent.target_q(z_action, range(2)),
        "target_q": tdmpc2.decode(agent.target_q(z_action, range(2))),
        "pi.raw": agent.pi(z),
    }
    sample = agent.policy(z, golden.tensor("pi.eps"))
    results |= {f"pi.{name}": value for name, value in sample._asdict().items()}
    for key in [key for key in golden.results() if not key.startswith("plan_")]:
        golden.compare(key, results[key])
    for case in ("plan_t0_train", "plan_warm_eval"):
        previous = golden.tensor(f"{case}.in.prev_mean") if "warm" in case else None
        noise = golden.under(f"{case}.rand.")
        obs = golden.tensor(f"{case}.in.obs")[0]
        compare_plan(golden, f"{case}.", agent.plan(obs, previous, "train" in case, noise))
    golden.assert_complete()


# ------------------------------------------- what no golden file holds: properties and training


def tiny(member: str, **settings: Any) -> Any:
    torch.manual_seed(0)
    if member.startswith("bmpc"):
        settings["critic"] = "q" if member == "bmpc_q" else "v"
    sizes = {"enc_dim": 8, "mlp_dim": 8, "latent_dim": 8, "num_q": 3, "discount": 0.9}
    plans = {"samples": 16, "elites": 4, "policy_samples": 2, "iterations": 2}
    config = MODULES[member].Config(3, 2, **{**sizes, **plans, **settings})
    agent = AGENTS[member](config, torch.float64)
    noisy = {name: p + 0.3 * torch.randn_like(p) for name, p in agent.named().items()}
    agent.load_named(noisy)
    return agent


def tiny_batch(horizon: int = 3, size: int = 25) -> dict[str, Tensor]:
    torch.manual_seed(1)
    f64 = torch.float64
    return {
        "obs": torch.randn(horizon + 1, size, 3, dtype=f64),
        "action": torch.rand(horizon, size, 2, dtype=f64) * 2 - 1,
        "mu": torch.rand(horizon, size, 2, dtype=f64) * 2 - 1,
        "std": torch.rand(horizon, size, 2, dtype=f64) + 0.1,
        "reward": torch.randn(horizon, size, dtype=f64),
        "terminated": (torch.rand(horizon, size, dtype=f64) < 0.3).double(),
    }


@members
def test_dropout_masks_of_ones_change_nothing(member: str) -> None:
    steps = 4 if member == "tdmpc2" else 3
    ones = {
        "dropout_model": torch.ones(3, 3, 25, 8, dtype=torch.float64),
        "dropout_pi": torch.ones(2, steps, 25, 8, dtype=torch.float64),
    }
    results = []
    for dropout, noise in ((0.0, {}), (0.5, ones)):
        agent = tiny(member, dropout=dropout)
        fixed = {
            "eps_td": torch.zeros(3, 25, 2, dtype=torch.float64),
            "eps_pi": torch.zeros(steps, 25, 2, dtype=torch.float64),
            "heads_td": torch.tensor([0, 2]),
            "heads_pi": torch.tensor([2, 1]),
        }
        agent.update(tiny_batch(), {**fixed, **noise})
        results.append(agent.named())
    for name, value in results[0].items():
        torch.testing.assert_close(results[1][name], value, rtol=0, atol=1e-12, msg=name)


@members
def test_no_value_beyond_the_end_of_an_episode(member: str) -> None:
    """With a termination network that always says "over", only the first reward counts."""
    agent = tiny(member, episodic=True)
    bias = torch.full((1,), 100.0, dtype=torch.float64)
    agent.load_named({"termination.2.bias": bias})
    batched, obs = member.startswith("bmpc"), torch.randn(1, 3, dtype=torch.float64)
    z = agent.encoder(obs).expand(16, -1)
    actions = torch.rand(3, 16, 2, dtype=torch.float64)
    eps, heads = torch.zeros(16, 2, dtype=torch.float64), torch.tensor([0, 1])
    if batched:
        value = agent.estimate_value(
            z[None], actions[None], heads, eps[None] if member == "bmpc_q" else None
        )[0]
    else:
        value = agent.estimate_value(z, actions, heads, eps)
    torch.testing.assert_close(value, agent.predicted_reward(z, actions[0]))

    batch = tiny_batch()
    batch["terminated"] = torch.ones_like(batch["terminated"])
    targets = agent.td_targets(batch, agent.encoder(batch["obs"][1:]), None)
    if member != "bmpc":  # whose targets are predictions, not the rewards observed
        torch.testing.assert_close(targets, batch["reward"])
    loss = agent.update(batch)["termination_loss"]
    assert 0 < float(loss) < 1e-6


def test_pretraining_leaves_bmpc_policy_alone() -> None:
    agent = tiny("bmpc")
    before = agent.named()
    agent.update(tiny_batch(), pretrain=True)
    after = agent.named()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"encoder", "dynamics", "reward", "v", "target_v"}


def test_reanalysis_renews_the_first_windows_only() -> None:
    agent, batch = tiny("bmpc"), tiny_batch()
    stored = {name: batch[name].clone() for name in ("mu", "std")}
    mu, std = agent.reanalyze(batch)
    windows = bmpc.REANALYZE_WINDOWS
    for name, fresh in (("mu", mu), ("std", std)):
        assert torch.equal(batch[name][:, :windows], fresh)
        assert torch.equal(batch[name][:, windows:], stored[name][:, windows:])
        assert not torch.isclose(fresh, stored[name][:, :windows]).any()


@pytest.mark.parametrize("module", [tdmpc2, bmpc, tdmpc_square])
def test_replay_draws_every_window_and_none_across_episodes(module: ModuleType) -> None:
    replay, lengths = module.Replay(horizon=3, capacity=12), (9, 2, 3, 7)
    for episode, length in enumerate(lengths):
        numbers = [torch.tensor([100.0 * episode + t]) for t in range(length + 1)]
        names = ("action", "reward", "terminated", "mu", "std")
        replay.add(numbers, [dict.fromkeys(names, number) for number in numbers[:-1]])
    sampled = replay.sample(500)
    batch = sampled[0] if module is bmpc else sampled
    # The first episode is out by capacity, the second has no window.
    starts = batch["obs"][0, :, 0]
    assert set(starts.tolist()) == {200, 300, 301, 302, 303, 304}
    assert torch.equal(batch["obs"][..., 0], starts + torch.arange(4)[:, None])
    assert torch.equal(batch["action"], batch["obs"][:3])
    if module is bmpc:
        fresh = batch["mu"][:, :20] + 0.5
        replay.write_plans(sampled[1], fresh, fresh)
        stored = torch.cat([episode["mu"] for episode in replay.episodes])
        assert set(stored[stored % 1 == 0.5].tolist()) == set(fresh.flatten().tolist())


class StubEnv:
    """Walk to the origin; ends early beyond 2 when episodic."""

    def __init__(self, episodic: bool) -> None:
        self.episodic = episodic
        self.random = np.random.default_rng(0)

    def reset(self, seed: int | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        if seed is not None:
            self.random = np.random.default_rng(seed)
        self.position, self.time = self.random.normal(size=2).astype(np.float32), 0
        return self.position.copy(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        assert action.shape == (2,) and np.abs(action).max() <= 1
        self.position = self.position + 0.2 * action
        self.time += 1
        distance = float(np.abs(self.position).max())
        terminated = self.episodic and distance > 2
        return self.position.astype(np.float32), -distance, terminated, self.time == 8, {}


SMALL = "--steps 45 --seed-steps 24 --batch-size 24 --eval-every 15 --eval-episodes 1"
SMALL += " --enc-dim 16 --mlp-dim 16 --latent-dim 16 --num-q 2 --samples 16 --elites 4"
SMALL += " --policy-samples 2 --iterations 2"
MAINS = [
    *[("tdmpc2", "", episodic) for episodic in (False, True)],
    *[("bmpc", f"--critic {critic}", episodic) for critic in "vq" for episodic in (False, True)],
    *[("tdmpc_square", f"--mode {mode}", False) for mode in tdmpc_square.MODES],
    ("tdmpc_square", "--mode residual", True),
]


def check_training(member: str, agent: Any, printed: str) -> None:
    header, *lines = printed.split()
    assert header == "agent_step,episode_return"
    assert [int(line.split(",")[0]) for line in lines] == [0, 15, 30, 45]
    assert all(math.isfinite(float(line.split(",")[1])) for line in lines)
    assert all(torch.isfinite(p).all() for p in agent.named().values())


@pytest.mark.parametrize(("member", "options", "episodic"), MAINS)
def test_trains_on_a_stub(member: str, options: str, episodic: bool, capsys: Any) -> None:
    spec = SimpleNamespace(obs_dim=2, action_dim=2, episode_length=8, episodic=episodic)
    argv = f"--task stub {SMALL} {options}".split()
    agent = MODULES[member].main(argv, make=lambda task: (StubEnv(episodic), spec))
    check_training(member, agent, capsys.readouterr().out)


@pytest.mark.parametrize("member", ["tdmpc2", "bmpc", "tdmpc_square"])
def test_trains_on_the_package_s_toy(member: str, capsys: Any) -> None:
    pytest.importorskip("mppi_zoo.envs")
    argv = f"--task toy:point {SMALL}".split()
    check_training(member, MODULES[member].main(argv), capsys.readouterr().out)
