"""BMPC in one file: "Bootstrapped Model Predictive Control", Wang et al., ICLR 2025.

TD-MPC2's world model, with a policy that imitates the planner and a critic of that policy's state
values learned from model roll-outs. The planner's stored distributions grow stale and are renewed
a few at a time ("lazy reanalysis"). `Config.critic = "q"` is the release's variant with action
values and model-free targets. A plain reference to read and to test against; nothing here is
tuned for speed. The mathematics is that of docs/method.md.

Shapes: time comes first and scalars carry no trailing 1. H horizon, B batch (of windows in an
update, of states in a plan), N candidate plans, P of them from the policy, K elites,
O observation, A action. Every random draw can be handed in by name (see `plan` and `update`); a
draw that is absent is made here.
"""

from __future__ import annotations

import argparse
import copy
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Draws = dict[str, Tensor]  # random draws by name
# obs [H+1, B, O]; action, mu, std [H, B, A]; reward, terminated [H, B]. The planner's distribution
# (mu, std) was stored when the step was taken; steps of random actions hold N(0, 1).
Batch = dict[str, Tensor]
Window = tuple[dict[str, Tensor], int]  # where a column of a batch came from: episode and start

BINS, VMIN, VMAX = 101, -10.0, 10.0  # two-hot classes, on the symlog scale
SIMPLEX = 8  # group size of SimNorm
LOG_STD_BOUNDS = (-3.0, 1.0)
EXPLORATION_BOUNDS = (-2.0, 1.0)  # of the planner's proposals during reanalysis
REANALYZE_EVERY, REANALYZE_WINDOWS = 10, 20
RHO, TAU = 0.5, 0.01  # temporal loss weight; rate of the target critics and of the running scale
CONSISTENCY, REWARD, VALUE, TERMINATION, ENTROPY = 20.0, 0.1, 0.1, 1.0, 1e-4  # loss weights
LEARNING_RATE, ENCODER_LEARNING_RATE, POLICY_ADAM_EPS = 3e-4, 9e-5, 1e-5
MIN_STD, MAX_STD, TEMPERATURE = 0.05, 2.0, 0.5  # planner


@dataclass
class Config:
    obs_dim: int
    action_dim: int
    episode_length: int = 500
    episodic: bool = False
    discount: float | None = None  # None: from the episode length
    enc_dim: int = 256
    mlp_dim: int = 512
    latent_dim: int = 512
    num_enc_layers: int = 2
    num_q: int = 2
    dropout: float = 0.01
    critic: str = "v"  # "q": action values
    td_horizon: int = 1  # steps of the model in the targets of state values
    critic_init: str = "default"  # PyTorch's own in the hidden layers, as released; or "normal"
    horizon: int = 3
    iterations: int = 6
    samples: int = 512
    elites: int = 64
    policy_samples: int = 24
    grad_clip_norm: float = 20.0


def discount_of(episode_length: int) -> float:
    """Longer episodes get a longer effective horizon (docs/method.md, section 1)."""
    fifth = episode_length / 5
    return min(max((fifth - 1) / fifth, 0.95), 0.995)


def draw(noise: Draws | None, name: str, sample: Callable[[], Tensor]) -> Tensor:
    """The caller's draw of this name where there is one, a fresh sample otherwise."""
    given = None if noise is None else noise.get(name)
    return sample() if given is None else given


# ------------------------------------------------------------- networks (docs/method.md, section 2)


def simnorm(x: Tensor) -> Tensor:
    """Softmax within groups of neighbours: a latent made of small simplices."""
    return x.unflatten(-1, (-1, SIMPLEX)).softmax(-1).flatten(-2)


class NormedLinear(nn.Linear):
    """Linear -> (dropout) -> LayerNorm -> activation."""

    def __init__(self, inputs: int, outputs: int, activation: Callable[[Tensor], Tensor] = F.mish):
        super().__init__(inputs, outputs)
        self.ln = nn.LayerNorm(outputs)
        self.activation = activation

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        x = super().forward(input)
        if mask is not None:  # dropout; the mask is already scaled by 1 / (1 - p)
            x = x * mask
        return self.activation(self.ln(x))


class MLP(nn.Sequential):
    """Hidden blocks and a last layer: linear, or a latent's with LayerNorm and SimNorm."""

    def __init__(self, inputs: int, hidden: list[int], outputs: int, latent: bool = False):
        widths = [inputs, *hidden]
        blocks = [NormedLinear(i, o) for i, o in zip(widths[:-1], hidden, strict=True)]
        last = (widths[-1], outputs)
        super().__init__(*blocks, NormedLinear(*last, simnorm) if latent else nn.Linear(*last))

    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor:
        first, *others = self
        x = first(input, mask)
        for layer in others:
            x = layer(x)
        return x


class Ensemble(nn.ModuleList):
    """Independent critics; the result has a leading axis of heads."""

    def forward(self, x: Tensor, heads: Iterable[int], masks: Tensor | None = None) -> Tensor:
        chosen = [self[int(head)] for head in heads]
        return torch.stack(
            [q(x, None if masks is None else masks[i]) for i, q in enumerate(chosen)]
        )


def initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


# ------------------------------------------- scalars as two-hot classes (docs/method.md, section 2)


def symlog(x: Tensor) -> Tensor:
    return torch.sign(x) * torch.log1p(torch.abs(x))


def symexp(x: Tensor) -> Tensor:
    return torch.sign(x) * torch.expm1(torch.abs(x))


def two_hot(x: Tensor) -> Tensor:
    """Spread each scalar over the two bins around its symlog: [...] -> [..., BINS]."""
    position = (symlog(x).clamp(VMIN, VMAX) - VMIN) * (BINS - 1) / (VMAX - VMIN)
    lower = position.floor().long()
    upper = (lower + 1) % BINS  # at VMAX the upper weight is 0, so that bin may wrap around
    weight = (position - lower).unsqueeze(-1)
    return (1 - weight) * F.one_hot(lower, BINS) + weight * F.one_hot(upper, BINS)


def decode(logits: Tensor) -> Tensor:
    """The scalar that logits stand for: [..., BINS] -> [...]."""
    bins = torch.linspace(VMIN, VMAX, BINS, dtype=logits.dtype)
    return symexp((logits.softmax(-1) * bins).sum(-1))


def cross_entropy(logits: Tensor, scalar: Tensor) -> Tensor:
    return -(two_hot(scalar) * logits.log_softmax(-1)).sum(-1)


# ----------------------------------------- policy and running scale (docs/method.md, sections 3, 5)


class PolicySample(NamedTuple):
    mean: Tensor  # after tanh: the deterministic action
    log_std: Tensor
    action: Tensor
    log_prob: Tensor
    scaled_entropy: Tensor


def clipped_gaussian(raw: Tensor, eps: Tensor, bounds: tuple[float, float]) -> PolicySample:
    raw_mean, raw_log_std = raw.chunk(2, dim=-1)
    mean = torch.tanh(raw_mean)
    low, high = bounds
    log_std = low + 0.5 * (high - low) * (torch.tanh(raw_log_std) + 1)
    action = (mean + eps * log_std.exp()).clamp(-1, 1)
    # The density ignores the clip.
    log_prob = (-0.5 * eps**2 - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)
    # The release's entropy term: -A * log_prob up to rounding.
    scale = eps.shape[-1] * log_prob / (log_prob + 1e-8)
    return PolicySample(mean, log_std, action, log_prob, -log_prob * scale)


def gaussian_kl(mean: Tensor, log_std: Tensor, prior_mean: Tensor, prior_std: Tensor) -> Tensor:
    """KL(N(mean, e^log_std) || prior), averaged (not summed) over the action's dimensions."""
    squares = (2 * log_std).exp() + (mean - prior_mean) ** 2
    return (prior_std.log() - log_std + squares / (2 * prior_std**2) - 0.5).mean(-1)


def updated_scale(scale: Tensor, values: Tensor) -> Tensor:
    """Follow the spread of one row of values: 5th to 95th percentile, at least 1."""
    low, high = torch.quantile(values, torch.tensor([0.05, 0.95], dtype=values.dtype))
    return scale + TAU * ((high - low).clamp(min=1.0) - scale)


# ----------------------------------------------------------------------------------- agent


class Plan(NamedTuple):
    action: Tensor  # [B, A], with exploration noise where asked for
    mu: Tensor  # [B, A], first action of the picked elite
    std: Tensor  # [B, A], the planner's final spread of the first action
    value: Tensor  # [B], of the picked elite
    mean: Tensor  # [B, H, A], where the next plan starts from
    trace: dict[str, list[Tensor]]  # what each iteration did


class BMPC:
    def __init__(self, config: Config, dtype: torch.dtype = torch.float32) -> None:
        self.config, self.dtype = config, dtype
        c = config
        self.discount = discount_of(c.episode_length) if c.discount is None else c.discount
        joint, hidden = c.latent_dim + c.action_dim, [c.mlp_dim, c.mlp_dim]
        encoder_hidden = [c.enc_dim] * max(c.num_enc_layers - 1, 1)
        self.encoder = MLP(c.obs_dim, encoder_hidden, c.latent_dim, latent=True)
        self.dynamics = MLP(joint, hidden, c.latent_dim, latent=True)
        self.reward = MLP(joint, hidden, BINS)
        critic_inputs = {"v": c.latent_dim, "q": joint}[c.critic]
        self.critics = Ensemble([MLP(critic_inputs, hidden, BINS) for _ in range(c.num_q)])
        self.pi = MLP(c.latent_dim, hidden, 2 * c.action_dim)
        self.model: dict[str, nn.Module] = {"encoder": self.encoder, "dynamics": self.dynamics}
        self.model |= {"reward": self.reward, c.critic: self.critics}
        if c.episodic:
            self.termination = self.model["termination"] = MLP(c.latent_dim, hidden, 1)

        for name, net in {**self.model, "pi": self.pi}.items():
            if name != c.critic or c.critic_init == "normal":
                net.apply(initialise)
        for net in (self.reward, *self.critics):
            for parameter in list(net.parameters())[-2:]:  # the last layer: first predictions are 0
                nn.init.zeros_(parameter)
        self.target_critics = copy.deepcopy(self.critics).requires_grad_(False)
        self.nets = {**self.model, "pi": self.pi, f"target_{c.critic}": self.target_critics}
        for net in self.nets.values():
            net.to(dtype)

        # The policy is no part of the model: neither of its optimiser nor of its clipping norm.
        others = [p for name, m in self.model.items() if name != "encoder" for p in m.parameters()]
        encoder_group = {"params": [*self.encoder.parameters()], "lr": ENCODER_LEARNING_RATE}
        self.model_parameters = [*self.encoder.parameters(), *others]
        self.model_optimizer = torch.optim.Adam([encoder_group, {"params": others}], LEARNING_RATE)
        self.pi_optimizer = torch.optim.Adam(
            self.pi.parameters(), LEARNING_RATE, eps=POLICY_ADAM_EPS
        )
        self.scale = torch.ones((), dtype=dtype)

    # ---- parameters under neutral names; a critic's tensors have a leading axis of heads

    def named(self, gradients: bool = False) -> dict[str, Tensor]:
        """Copies of all parameters, or of the gradients there are."""
        result = {}
        for net_name, net in self.nets.items():
            ensemble = isinstance(net, Ensemble)
            members = list(net.children()) if ensemble else [net]
            for name, _ in members[0].named_parameters():
                found = [member.get_parameter(name) for member in members]
                tensors = [p.grad if gradients else p.detach() for p in found]
                copies = [t.clone() for t in tensors if t is not None]
                if copies:
                    result[f"{net_name}.{name}"] = torch.stack(copies) if ensemble else copies[0]
        return result

    @torch.no_grad()
    def load_named(self, params: dict[str, Tensor]) -> None:
        """Copy parameters in; what is not named keeps its value."""
        for full_name, value in params.items():
            net_name, name = full_name.split(".", 1)
            net = self.nets[net_name]
            ensemble = isinstance(net, Ensemble)
            members = list(net.children()) if ensemble else [net]
            for member, row in zip(members, value if ensemble else [value], strict=True):
                member.get_parameter(name).copy_(row)

    # ---- the model's pieces

    def next_latent(self, z: Tensor, action: Tensor) -> Tensor:
        return self.dynamics(torch.cat([z, action], -1))

    def predicted_reward(self, z: Tensor, action: Tensor) -> Tensor:
        return decode(self.reward(torch.cat([z, action], -1)))

    def alive(self, z: Tensor) -> Tensor:
        """1 where the episode goes on in this latent, 0 where it has ended: a hard cut."""
        return 1 - (torch.sigmoid(self.termination(z).squeeze(-1)) > 0.5).to(self.dtype)

    def policy(
        self, z: Tensor, eps: Tensor, bounds: tuple[float, float] = LOG_STD_BOUNDS
    ) -> PolicySample:
        return clipped_gaussian(self.pi(z), eps, bounds)

    def values(self, net: Ensemble, z: Tensor, action: Tensor | None, heads: Tensor) -> Tensor:
        """Mean of the drawn heads' decoded values; `action` is None for state values."""
        inputs = z if action is None else torch.cat([z, action], -1)
        return decode(net(inputs, heads.tolist())).mean(0)

    # ---- draws made here where the caller gives none

    def normal(self, *shape: int) -> Callable[[], Tensor]:
        return lambda: torch.randn(shape, dtype=self.dtype)

    def exponential(self, *shape: int) -> Callable[[], Tensor]:
        return lambda: torch.empty(shape, dtype=self.dtype).exponential_()

    def two_heads(self) -> Tensor:
        return torch.randperm(self.config.num_q)[:2]

    def dropout(self, noise: Draws | None, name: str, *shape: int) -> Tensor:
        p = self.config.dropout
        return draw(noise, name, lambda: (torch.rand(shape) >= p).to(self.dtype) / (1 - p))

    # ---- planning: MPPI in latent space (docs/method.md, section 4), for a batch of states at once

    def estimate_value(
        self, z: Tensor, actions: Tensor, heads: Tensor, eps: Tensor | None
    ) -> Tensor:
        """Return [B, N] of the sequences [B, H, N, A] from z [B, N, L], closed by the critics."""
        total = torch.zeros(z.shape[:-1], dtype=self.dtype)
        discount = torch.ones_like(total)
        for t in range(actions.shape[1]):
            total = total + discount * self.predicted_reward(z, actions[:, t])
            z = self.next_latent(z, actions[:, t])
            discount = discount * self.discount
            if self.config.episodic:
                discount = discount * self.alive(z)
        action = None if eps is None else self.policy(z, eps).action
        terminal = self.values(self.critics, z, action, heads)
        return torch.nan_to_num(total + discount * terminal, nan=0.0)

    @torch.no_grad()
    def plan(
        self,
        obs: Tensor,
        previous_mean: Tensor | None = None,
        explore: bool = True,
        noise: Draws | None = None,
        proposal_bounds: tuple[float, float] = LOG_STD_BOUNDS,
    ) -> Plan:
        """Plan from observations [B, O]; `previous_mean` [B, H, A], None where an episode starts.

        Draws: eps_prior [H, B, P, A], noise [iterations, B, H, N - P, A], heads [iterations, 2],
        exponential [B, K], eps_action [A] (one for the whole batch), and with action values
        eps_terminal [iterations, B, N, A].
        """
        c, size, normal = self.config, obs.shape[0], self.normal
        prior_shape = (c.horizon, size, c.policy_samples, c.action_dim)
        eps_prior = draw(noise, "eps_prior", normal(*prior_shape))
        noise_shape = (size, c.horizon, c.samples - c.policy_samples, c.action_dim)
        eps = draw(noise, "noise", normal(c.iterations, *noise_shape))
        heads = draw(noise, "heads", lambda: torch.stack([self.two_heads() for _ in eps]))
        eps_terminal: Any = [None] * c.iterations
        if c.critic == "q":
            terminal_shape = (c.iterations, size, c.samples, c.action_dim)
            eps_terminal = draw(noise, "eps_terminal", normal(*terminal_shape))
        exponential = draw(noise, "exponential", self.exponential(size, c.elites))
        # 1. Proposals of the policy, the same in all iterations.
        z0 = self.encoder(obs).unsqueeze(1)
        z, proposals = z0.expand(-1, c.policy_samples, -1), []
        for t in range(c.horizon):
            proposals.append(self.policy(z, eps_prior[t], proposal_bounds).action)
            z = self.next_latent(z, proposals[-1])
        # 2. Start from the previous plan, shifted by one step.
        mean = torch.zeros(size, c.horizon, c.action_dim, dtype=self.dtype)
        if previous_mean is not None:
            mean[:, :-1] = previous_mean[:, 1:]
        std = torch.full_like(mean, MAX_STD)
        # 3. Sample, score, keep the elites, refit.
        names = ("value", "elite_idxs", "elite_value", "score", "mean", "std")
        trace: dict[str, list[Tensor]] = {name: [] for name in names}
        elites = score = elite_value = mean
        for i in range(c.iterations):
            sampled = (mean.unsqueeze(2) + std.unsqueeze(2) * eps[i]).clamp(-1, 1)
            actions = torch.cat([torch.stack(proposals, dim=1), sampled], dim=2)
            start = z0.expand(-1, c.samples, -1)
            value = self.estimate_value(start, actions, heads[i], eps_terminal[i])
            elite_value, elite_idxs = value.topk(c.elites, dim=1)
            elites = actions.take_along_dim(elite_idxs[:, None, :, None], dim=2)
            score = torch.softmax(TEMPERATURE * elite_value, dim=1)
            weight = score[:, None, :, None]
            total = weight.sum(2) + 1e-9
            mean = (weight * elites).sum(2) / total
            variance = (weight * (elites - mean.unsqueeze(2)) ** 2).sum(2) / total
            std = variance.sqrt().clamp(MIN_STD, MAX_STD)
            results = (value, elite_idxs, elite_value, score, mean, std)
            for name, result in zip(names, results, strict=True):
                trace[name].append(result)
        # 4. Draw one elite by its weight: Gumbel-max, written with Exp(1) variables.
        pick = torch.argmax(score.log() - exponential.log(), dim=1)
        rows = torch.arange(size)
        mu = action = elites[rows, 0, pick]
        if explore:
            action = mu + std[:, 0] * draw(noise, "eps_action", normal(c.action_dim))
        value = elite_value[rows, pick]
        return Plan(action.clamp(-1, 1), mu, std[:, 0], value, mean, trace)

    def reanalyze(self, batch: Batch, noise: Draws | None = None) -> tuple[Tensor, Tensor]:
        """Plan afresh for the first windows of the batch, with the model as it stands.

        Replaces (mu, std) in those columns of the batch and returns them, [H, windows, A], to be
        written back to the buffer. The draws are `plan`'s, for states flattened time-major.
        """
        obs = batch["obs"][:-1, :REANALYZE_WINDOWS]
        plan = self.plan(obs.flatten(0, 1), None, False, noise, EXPLORATION_BOUNDS)
        mu, std = (x.unflatten(0, obs.shape[:2]) for x in (plan.mu, plan.std))
        for name, fresh in (("mu", mu), ("std", std)):
            batch[name] = torch.cat([fresh, batch[name][:, REANALYZE_WINDOWS:]], dim=1)
        return mu, std

    # ---- learning (docs/method.md, sections 2 and 5)

    @torch.no_grad()
    def td_targets(self, batch: Batch, next_z: Tensor, noise: Draws | None) -> Tensor:
        """Targets [H, B] with the mean of two target heads.

        State values: roll policy and model on from each observed state, so that the targets are
        on-policy. Action values: the observed reward and the policy's action at the next state.
        """
        c = self.config
        heads = draw(noise, "heads_td", self.two_heads)
        horizon, size, actions = batch["action"].shape
        if c.critic == "q":
            eps = draw(noise, "eps_td", self.normal(horizon, size, actions))
            value = self.values(self.target_critics, next_z, self.policy(next_z, eps).action, heads)
            alive = 1 - batch["terminated"] if c.episodic else 1.0
            return batch["reward"] + self.discount * alive * value
        shape = (c.td_horizon, horizon, size, actions)
        z = self.encoder(batch["obs"][:-1])
        total, discount = torch.zeros_like(batch["reward"]), torch.ones_like(batch["reward"])
        for eps in draw(noise, "eps_td", self.normal(*shape)).reshape(shape):
            action = self.policy(z, eps).action
            total = total + discount * self.predicted_reward(z, action)
            z = self.next_latent(z, action)
            discount = discount * self.discount
            if c.episodic:
                discount = discount * self.alive(z)
        return total + discount * self.values(self.target_critics, z, None, heads)

    def model_step(self, batch: Batch, noise: Draws | None) -> dict[str, Any]:
        """One Adam step on encoder, dynamics, reward, critics and, if any, termination."""
        c = self.config
        horizon, size = batch["reward"].shape
        with torch.no_grad():
            next_z = self.encoder(batch["obs"][1:])
        targets = self.td_targets(batch, next_z, noise)

        latents = [self.encoder(batch["obs"][0])]
        for action in batch["action"]:
            latents.append(self.next_latent(latents[-1], action))
        zs = torch.stack(latents)
        z_action = torch.cat([zs[:-1], batch["action"]], -1)
        reward_logits = self.reward(z_action)
        masks = self.dropout(noise, "dropout_model", c.num_q, horizon, size, c.mlp_dim)
        critic_inputs = z_action if c.critic == "q" else zs[:-1]
        value_logits = self.critics(critic_inputs, range(c.num_q), masks)

        rho = RHO ** torch.arange(horizon, dtype=self.dtype)
        consistency_loss = (rho * ((zs[1:] - next_z) ** 2).mean((1, 2))).mean()
        reward_loss = (rho * cross_entropy(reward_logits, batch["reward"]).mean(1)).mean()
        value_loss = (rho * cross_entropy(value_logits, targets).mean(2)).mean()
        loss = CONSISTENCY * consistency_loss + REWARD * reward_loss + VALUE * value_loss
        termination_loss = torch.zeros((), dtype=self.dtype)
        if c.episodic:  # without rho, and at the latent that the action leads to
            logits = self.termination(zs[1:]).squeeze(-1)
            termination_loss = F.binary_cross_entropy_with_logits(logits, batch["terminated"])
            loss = loss + TERMINATION * termination_loss
        self.model_optimizer.zero_grad()
        self.pi_optimizer.zero_grad()
        loss.backward()
        grad = self.named(gradients=True)  # before clipping
        grad_norm = nn.utils.clip_grad_norm_(self.model_parameters, c.grad_clip_norm)
        self.model_optimizer.step()
        info = {"zs": zs, "reward_logits": reward_logits, "value_logits": value_logits}
        info |= {"next_z": next_z, "td_targets": targets, "grad_norm": grad_norm}
        info |= {"consistency_loss": consistency_loss, "reward_loss": reward_loss}
        info |= {"value_loss": value_loss, "termination_loss": termination_loss}
        info |= {"total_loss": loss}
        return {"grad": grad, **{name: tensor.detach() for name, tensor in info.items()}}

    def policy_step(self, zs: Tensor, batch: Batch, noise: Draws | None) -> dict[str, Any]:
        """Imitate the stored planner: minimise KL / S - entropy at the first H latents."""
        c = self.config
        sample = self.policy(zs, draw(noise, "eps_pi", self.normal(*batch["mu"].shape)))
        kl = gaussian_kl(sample.mean, sample.log_std, batch["mu"], batch["std"])
        self.scale = updated_scale(self.scale, kl[0].detach())  # before it is used
        cost = kl / self.scale - ENTROPY * sample.scaled_entropy
        # A plain mean over time after weighting: not divided by the sum of the weights.
        rho = RHO ** torch.arange(len(zs), dtype=self.dtype)
        loss = (rho * cost.mean(1)).mean()
        self.pi_optimizer.zero_grad()
        loss.backward()
        self.model_optimizer.zero_grad()
        grad = self.named(gradients=True)  # before clipping
        grad_norm = nn.utils.clip_grad_norm_(self.pi.parameters(), c.grad_clip_norm)
        self.pi_optimizer.step()
        info = {"kl_raw": kl, "kl_scaled": kl / self.scale, "scale_after": self.scale}
        info |= {"pi_loss": loss, "pi_grad_norm": grad_norm, "rho": rho}
        info |= {f"pi_info.{name}": tensor for name, tensor in sample._asdict().items()}
        return {"pi_grad": grad, **{name: tensor.detach() for name, tensor in info.items()}}

    @torch.no_grad()
    def target_step(self) -> None:
        pairs = zip(self.target_critics.parameters(), self.critics.parameters(), strict=True)
        for target, online in pairs:
            target += TAU * (online - target)

    def update(
        self, batch: Batch, noise: Draws | None = None, pretrain: bool = False
    ) -> dict[str, Any]:
        """One update: the model, then (except while pretraining) the policy, then the targets.

        Draws: eps_td [H, B, A] (state values: [td_horizon, H, B, A]), heads_td [2],
        eps_pi [H, B, A], and the mask (0 or 1 / (1 - p)) dropout_model [heads, H, B, mlp].
        """
        info = self.model_step(batch, noise)
        if not pretrain:
            info.update(self.policy_step(info["zs"][:-1], batch, noise))
        self.target_step()
        return info


# -------------------------------------------------- replay and training (docs/method.md, section 6)


class Replay:
    """Whole episodes; sampling is uniform over every window of H steps within one."""

    def __init__(self, horizon: int, capacity: int = 1_000_000) -> None:
        self.horizon, self.capacity, self.steps = horizon, capacity, 0
        self.episodes: deque[dict[str, Tensor]] = deque()

    def add(self, observations: list[Tensor], steps: list[dict[str, Tensor]]) -> None:
        """Add an episode of T + 1 observations and T steps; one shorter than H has no window."""
        if len(steps) < self.horizon:
            return
        columns = {name: torch.stack([step[name] for step in steps]) for name in steps[0]}
        self.episodes.append({"obs": torch.stack(observations), **columns})
        self.steps += len(steps)
        while self.steps > self.capacity:
            self.steps -= len(self.episodes.popleft()["reward"])

    def sample(self, batch_size: int) -> tuple[Batch, list[Window]]:
        windows = torch.tensor([len(e["reward"]) - self.horizon + 1 for e in self.episodes])
        ends = windows.cumsum(0)
        rows, places = [], []
        for number in torch.randint(int(ends[-1]), (batch_size,)):
            index = int(torch.searchsorted(ends, number, right=True))
            start = int(number - ends[index] + windows[index])
            episode, end = self.episodes[index], start + self.horizon
            places.append((episode, start))
            rows.append({n: x[start : end + (n == "obs")] for n, x in episode.items()})
        batch = {name: torch.stack([row[name] for row in rows], dim=1) for name in rows[0]}
        return batch, places

    def write_plans(self, windows: list[Window], mu: Tensor, std: Tensor) -> None:
        """Store renewed plans [H, n, A] in the episodes that the first n windows came from."""
        for (episode, start), *fresh in zip(windows, mu.unbind(1), std.unbind(1), strict=False):
            for name, value in zip(("mu", "std"), fresh, strict=True):
                episode[name][start : start + self.horizon] = value


def evaluate(agent: BMPC, env: Any, episodes: int, seed: int) -> float:
    """Mean return of the planner without exploration noise."""
    total = 0.0
    for episode in range(episodes):
        obs, _ = env.reset(seed=seed + episode)
        mean, done = None, False
        while not done:
            plan = agent.plan(torch.as_tensor(obs, dtype=agent.dtype)[None], mean, explore=False)
            mean = plan.mean
            obs, reward, terminated, truncated, _ = env.step(plan.action[0].numpy())
            total += float(reward)
            done = terminated or truncated
    return total / episodes


def train(agent: BMPC, env: Any, eval_env: Any, args: argparse.Namespace) -> None:
    """Random steps, then as many updates of the model at once, then one update a step."""
    replay, updates, pretrained = Replay(agent.config.horizon), 0, False

    def tensor(x: Any) -> Tensor:
        return torch.as_tensor(x, dtype=agent.dtype)

    observations, steps, mean = [tensor(env.reset(seed=args.seed)[0])], [], None
    print("agent_step,episode_return")
    for step in range(args.steps + 1):
        if step % args.eval_every == 0:
            result = evaluate(agent, eval_env, args.eval_episodes, seed=args.seed + 10_000)
            print(f"{step},{result:.4f}", flush=True)
        if step == args.steps:
            break
        if step < args.seed_steps:
            action = torch.rand(agent.config.action_dim, dtype=agent.dtype) * 2 - 1
            mu, std = torch.zeros_like(action), torch.ones_like(action)
        else:
            plan = agent.plan(observations[-1][None], mean)
            action, mu, std, mean = plan.action[0], plan.mu[0], plan.std[0], plan.mean
        obs, reward, terminated, truncated, _ = env.step(action.numpy())
        observations.append(tensor(obs))
        record = {"action": action, "mu": mu, "std": std, "reward": tensor(reward)}
        steps.append({**record, "terminated": tensor(float(terminated))})
        if terminated or truncated:
            replay.add(observations, steps)
            observations, steps, mean = [tensor(env.reset()[0])], [], None
        if step + 1 >= args.seed_steps and replay.episodes:
            for _ in range(1 if pretrained else args.seed_steps):
                updates += 1
                batch, windows = replay.sample(args.batch_size)
                if pretrained and updates % REANALYZE_EVERY == 0:
                    replay.write_plans(windows, *agent.reanalyze(batch))
                agent.update(batch, pretrain=not pretrained)
            pretrained = True


def make_from_package(task: str) -> tuple[Any, Any]:
    """The environments are all that this file shares with the package."""
    from mppi_zoo import envs

    env = envs.make(task)
    return env, envs.spec_of(env)


def threads_by_rule(args: argparse.Namespace) -> int:
    """As many threads as a run of the package would take, or OMP_NUM_THREADS."""
    from mppi_zoo.compute import threads

    work = threads.work(min(args.samples, args.batch_size), args.mlp_dim)
    return threads.by_rule(work)


def main(argv: list[str] | None = None, make: Callable[[str], Any] = make_from_package) -> BMPC:
    """Train from the command line; `make` maps a task's name to (environment, its spec)."""
    parser = argparse.ArgumentParser(description="BMPC, single-file reference")
    parser.add_argument("--task", required=True)
    sizes = ["enc_dim", "mlp_dim", "latent_dim", "num_q", "samples", "elites", "policy_samples"]
    options = {"steps": 100_000, "seed": 1, "batch_size": 256}
    options |= {"eval_every": 50_000, "eval_episodes": 10}
    options |= {name: getattr(Config, name) for name in sizes}
    for name, default in options.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=default)
    parser.add_argument("--iterations", type=int, help="default: 6, or 8 from 20 actions on")
    parser.add_argument("--seed-steps", type=int, help="default: 5 episodes, at least 1000")
    parser.add_argument("--critic", choices=("v", "q"), default=Config.critic)
    parser.add_argument("--threads", type=int, help="default: by the sizes and the cores")
    args = parser.parse_args(argv)

    torch.set_num_threads(args.threads or threads_by_rule(args))
    torch.manual_seed(args.seed)
    (env, spec), (eval_env, _) = make(args.task), make(args.task)
    if args.seed_steps is None:
        args.seed_steps = max(1000, 5 * spec.episode_length)
    args.iterations = args.iterations or (8 if spec.action_dim >= 20 else 6)
    chosen = {name: getattr(args, name) for name in [*sizes, "iterations", "critic"]}
    task = (spec.obs_dim, spec.action_dim, spec.episode_length, spec.episodic)
    agent = BMPC(Config(*task, **chosen))
    train(agent, env, eval_env, args)
    return agent


if __name__ == "__main__":
    main()
