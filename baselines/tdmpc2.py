"""TD-MPC2 in one file: "Scalable, Robust World Models for Continuous Control", Hansen et al., 2024.

A plain reference to read and to test against; nothing here is tuned for speed.
The mathematics is that of docs/method.md.

Shapes: time comes first and scalars carry no trailing 1. H horizon, B batch, N candidate plans,
P of them from the policy, K elites, O observation, A action. Every random draw can be handed in
by name (see `plan` and `update`); a draw that is absent is made here.
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
Batch = dict[str, Tensor]  # obs [H+1, B, O], action [H, B, A], reward and terminated [H, B]

BINS, VMIN, VMAX = 101, -10.0, 10.0  # two-hot classes, on the symlog scale
SIMPLEX = 8  # group size of SimNorm
LOG_STD_MIN, LOG_STD_MAX = -10.0, 2.0
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
    num_q: int = 5
    dropout: float = 0.01
    critic_init: str = "normal"  # "default": PyTorch's own in the hidden layers, as once released
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


def squashed_gaussian(raw: Tensor, eps: Tensor) -> PolicySample:
    mean, raw_log_std = raw.chunk(2, dim=-1)
    log_std = LOG_STD_MIN + 0.5 * (LOG_STD_MAX - LOG_STD_MIN) * (torch.tanh(raw_log_std) + 1)
    action = torch.tanh(mean + eps * log_std.exp())
    gaussian = (-0.5 * eps**2 - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)
    log_prob = gaussian - torch.log(F.relu(1 - action**2) + 1e-6).sum(-1)
    # The release's entropy term: -A * gaussian up to rounding, the tanh correction cancels out.
    scale = eps.shape[-1] * gaussian / (log_prob + 1e-8)
    return PolicySample(torch.tanh(mean), log_std, action, log_prob, -log_prob * scale)


def updated_scale(scale: Tensor, values: Tensor) -> Tensor:
    """Follow the spread of one row of values: 5th to 95th percentile, at least 1."""
    low, high = torch.quantile(values, torch.tensor([0.05, 0.95], dtype=values.dtype))
    return scale + TAU * ((high - low).clamp(min=1.0) - scale)


# ----------------------------------------------------------------------------------- agent


class Plan(NamedTuple):
    action: Tensor  # [A], with exploration noise where asked for
    mu: Tensor  # [A], first action of the picked elite
    std: Tensor  # [A], the planner's final spread of the first action
    mean: Tensor  # [H, A], where the next plan starts from
    trace: dict[str, list[Tensor]]  # what each iteration did


class TDMPC2:
    def __init__(self, config: Config, dtype: torch.dtype = torch.float32) -> None:
        self.config, self.dtype = config, dtype
        c = config
        self.discount = discount_of(c.episode_length) if c.discount is None else c.discount
        joint, hidden = c.latent_dim + c.action_dim, [c.mlp_dim, c.mlp_dim]
        encoder_hidden = [c.enc_dim] * max(c.num_enc_layers - 1, 1)
        self.encoder = MLP(c.obs_dim, encoder_hidden, c.latent_dim, latent=True)
        self.dynamics = MLP(joint, hidden, c.latent_dim, latent=True)
        self.reward = MLP(joint, hidden, BINS)
        self.q = Ensemble([MLP(joint, hidden, BINS) for _ in range(c.num_q)])
        self.pi = MLP(c.latent_dim, hidden, 2 * c.action_dim)
        self.model: dict[str, nn.Module] = {"encoder": self.encoder, "dynamics": self.dynamics}
        self.model |= {"reward": self.reward, "q": self.q}
        if c.episodic:
            self.termination = self.model["termination"] = MLP(c.latent_dim, hidden, 1)

        for name, net in {**self.model, "pi": self.pi}.items():
            if name != "q" or c.critic_init == "normal":
                net.apply(initialise)
        for net in (self.reward, *self.q):
            for parameter in list(net.parameters())[-2:]:  # the last layer: first predictions are 0
                nn.init.zeros_(parameter)
        self.target_q = copy.deepcopy(self.q).requires_grad_(False)
        self.nets = {**self.model, "pi": self.pi, "target_q": self.target_q}
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

    def policy(self, z: Tensor, eps: Tensor) -> PolicySample:
        return squashed_gaussian(self.pi(z), eps)

    def q_values(
        self, net: Ensemble, z: Tensor, action: Tensor, heads: Tensor, masks: Tensor | None = None
    ) -> Tensor:
        """Decoded values of the drawn heads, with a leading axis of heads."""
        return decode(net(torch.cat([z, action], -1), heads.tolist(), masks))

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

    # ---- planning: MPPI in latent space (docs/method.md, section 4)

    def estimate_value(self, z: Tensor, actions: Tensor, heads: Tensor, eps: Tensor) -> Tensor:
        """Return of N action sequences [H, N, A] under the model, closed by the online critics."""
        total = torch.zeros(z.shape[0], dtype=self.dtype)
        discount = torch.ones(z.shape[0], dtype=self.dtype)
        for action in actions:
            total = total + discount * self.predicted_reward(z, action)
            z = self.next_latent(z, action)
            discount = discount * self.discount
            if self.config.episodic:
                discount = discount * self.alive(z)
        terminal = self.q_values(self.q, z, self.policy(z, eps).action, heads).mean(0)
        return torch.nan_to_num(total + discount * terminal, nan=0.0)

    @torch.no_grad()
    def plan(
        self,
        obs: Tensor,
        previous_mean: Tensor | None = None,
        explore: bool = True,
        noise: Draws | None = None,
    ) -> Plan:
        """Plan from one observation [O]; `previous_mean` [H, A] is None where an episode starts.

        Draws: eps_prior [H, P, A], noise [iterations, H, N - P, A], heads [iterations, 2],
        eps_terminal [iterations, N, A], exponential [K], eps_action [A].
        """
        c = self.config
        normal, size = self.normal, (c.iterations, c.horizon, c.samples - c.policy_samples)
        eps_prior = draw(noise, "eps_prior", normal(c.horizon, c.policy_samples, c.action_dim))
        eps = draw(noise, "noise", normal(*size, c.action_dim))
        eps_terminal = draw(noise, "eps_terminal", normal(c.iterations, c.samples, c.action_dim))
        heads = draw(noise, "heads", lambda: torch.stack([self.two_heads() for _ in eps]))
        exponential = draw(noise, "exponential", self.exponential(c.elites))
        # 1. Proposals of the policy, the same in all iterations.
        z0 = self.encoder(obs)
        z, proposals = z0.expand(c.policy_samples, -1), []
        for t in range(c.horizon):
            proposals.append(self.policy(z, eps_prior[t]).action)
            z = self.next_latent(z, proposals[-1])
        # 2. Start from the previous plan, shifted by one step.
        mean = torch.zeros(c.horizon, c.action_dim, dtype=self.dtype)
        if previous_mean is not None:
            mean[:-1] = previous_mean[1:]
        std = torch.full_like(mean, MAX_STD)
        # 3. Sample, score, keep the elites, refit.
        names = ("value", "elite_idxs", "elite_value", "score", "mean", "std")
        trace: dict[str, list[Tensor]] = {name: [] for name in names}
        elites = score = mean
        for i in range(c.iterations):
            sampled = (mean.unsqueeze(1) + std.unsqueeze(1) * eps[i]).clamp(-1, 1)
            actions = torch.cat([torch.stack(proposals), sampled], dim=1)
            start = z0.expand(c.samples, -1)
            value = self.estimate_value(start, actions, heads[i], eps_terminal[i])
            elite_value, elite_idxs = value.topk(c.elites)
            elites = actions[:, elite_idxs]
            score = torch.softmax(TEMPERATURE * elite_value, dim=0)
            total, weight = score.sum() + 1e-9, score.unsqueeze(-1)
            mean = (weight * elites).sum(1) / total
            variance = (weight * (elites - mean.unsqueeze(1)) ** 2).sum(1) / total
            std = variance.sqrt().clamp(MIN_STD, MAX_STD)
            results = (value, elite_idxs, elite_value, score, mean, std)
            for name, result in zip(names, results, strict=True):
                trace[name].append(result)
        # 4. Draw one elite by its weight: Gumbel-max, written with Exp(1) variables.
        mu = action = elites[0, torch.argmax(score.log() - exponential.log())]
        if explore:
            action = mu + std[0] * draw(noise, "eps_action", normal(c.action_dim))
        return Plan(action.clamp(-1, 1), mu, std[0], mean, trace)

    # ---- learning (docs/method.md, sections 2 and 5)

    @torch.no_grad()
    def td_targets(self, batch: Batch, next_z: Tensor, noise: Draws | None) -> Tensor:
        """Reward plus the discounted minimum of two target heads at the policy's action."""
        eps = draw(noise, "eps_td", self.normal(*batch["action"].shape))
        heads = draw(noise, "heads_td", self.two_heads)
        q = self.q_values(self.target_q, next_z, self.policy(next_z, eps).action, heads)
        alive = 1 - batch["terminated"] if self.config.episodic else 1.0
        return batch["reward"] + self.discount * alive * q.min(dim=0).values

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
        value_logits = self.q(z_action, range(c.num_q), masks)

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

    def policy_step(self, zs: Tensor, noise: Draws | None) -> dict[str, Any]:
        """Maximise Q / S + entropy on the latents of the roll-out, all H + 1 of them."""
        c = self.config
        steps, size = zs.shape[:2]
        sample = self.policy(zs, draw(noise, "eps_pi", self.normal(steps, size, c.action_dim)))
        heads = draw(noise, "heads_pi", self.two_heads)
        masks = self.dropout(noise, "dropout_pi", 2, steps, size, c.mlp_dim)
        q = self.q_values(self.q, zs, sample.action, heads, masks).mean(0)
        self.scale = updated_scale(self.scale, q[0].detach())  # before it is used
        objective = q / self.scale + ENTROPY * sample.scaled_entropy
        # A plain mean over time after weighting: not divided by the sum of the weights.
        rho = RHO ** torch.arange(steps, dtype=self.dtype)
        loss = (rho * -objective.mean(1)).mean()
        self.pi_optimizer.zero_grad()
        loss.backward()
        self.model_optimizer.zero_grad()  # what the critics received on the way does not count
        grad = self.named(gradients=True)  # before clipping
        grad_norm = nn.utils.clip_grad_norm_(self.pi.parameters(), c.grad_clip_norm)
        self.pi_optimizer.step()
        info = {"pi_q_raw": q, "pi_q_scaled": q / self.scale, "scale_after": self.scale}
        info |= {"pi_loss": loss, "pi_grad_norm": grad_norm, "pi_action": sample.action, "rho": rho}
        info |= {f"pi_info.{name}": tensor for name, tensor in sample._asdict().items()}
        return {"pi_grad": grad, **{name: tensor.detach() for name, tensor in info.items()}}

    @torch.no_grad()
    def target_step(self) -> None:
        for target, online in zip(self.target_q.parameters(), self.q.parameters(), strict=True):
            target += TAU * (online - target)

    def update(self, batch: Batch, noise: Draws | None = None) -> dict[str, Any]:
        """One update: the model, then the policy with the critics just updated, then the targets.

        Draws: eps_td [H, B, A], heads_td [2], eps_pi [H+1, B, A], heads_pi [2], and the masks
        (0 or 1 / (1 - p)) dropout_model [heads, H, B, mlp], dropout_pi [2, H+1, B, mlp].
        """
        info = self.model_step(batch, noise)
        info.update(self.policy_step(info["zs"], noise))
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

    def sample(self, batch_size: int) -> Batch:
        windows = torch.tensor([len(e["reward"]) - self.horizon + 1 for e in self.episodes])
        ends = windows.cumsum(0)
        rows = []
        for number in torch.randint(int(ends[-1]), (batch_size,)):
            index = int(torch.searchsorted(ends, number, right=True))
            start = int(number - ends[index] + windows[index])
            episode, end = self.episodes[index], start + self.horizon
            rows.append({n: x[start : end + (n == "obs")] for n, x in episode.items()})
        return {name: torch.stack([row[name] for row in rows], dim=1) for name in rows[0]}


def evaluate(agent: TDMPC2, env: Any, episodes: int, seed: int) -> float:
    """Mean return of the planner without exploration noise."""
    total = 0.0
    for episode in range(episodes):
        obs, _ = env.reset(seed=seed + episode)
        mean, done = None, False
        while not done:
            plan = agent.plan(torch.as_tensor(obs, dtype=agent.dtype), mean, explore=False)
            mean = plan.mean
            obs, reward, terminated, truncated, _ = env.step(plan.action.numpy())
            total += float(reward)
            done = terminated or truncated
    return total / episodes


def train(agent: TDMPC2, env: Any, eval_env: Any, args: argparse.Namespace) -> None:
    """Random steps, then as many updates at once, then one update after every step."""
    replay, pretrained = Replay(agent.config.horizon), False

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
        else:
            plan = agent.plan(observations[-1], mean)
            action, mean = plan.action, plan.mean
        obs, reward, terminated, truncated, _ = env.step(action.numpy())
        observations.append(tensor(obs))
        ended = tensor(float(terminated))
        steps.append({"action": action, "reward": tensor(reward), "terminated": ended})
        if terminated or truncated:
            replay.add(observations, steps)
            observations, steps, mean = [tensor(env.reset()[0])], [], None
        if step + 1 >= args.seed_steps and replay.episodes:
            for _ in range(1 if pretrained else args.seed_steps):
                agent.update(replay.sample(args.batch_size))
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


def main(argv: list[str] | None = None, make: Callable[[str], Any] = make_from_package) -> TDMPC2:
    """Train from the command line; `make` maps a task's name to (environment, its spec)."""
    parser = argparse.ArgumentParser(description="TD-MPC2, single-file reference")
    parser.add_argument("--task", required=True)
    sizes = ["enc_dim", "mlp_dim", "latent_dim", "num_q", "samples", "elites", "policy_samples"]
    options = {"steps": 100_000, "seed": 1, "batch_size": 256}
    options |= {"eval_every": 50_000, "eval_episodes": 10}
    options |= {name: getattr(Config, name) for name in sizes}
    for name, default in options.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=default)
    parser.add_argument("--iterations", type=int, help="default: 6, or 8 from 20 actions on")
    parser.add_argument("--seed-steps", type=int, help="default: 5 episodes, at least 1000")
    parser.add_argument("--threads", type=int, help="default: by the sizes and the cores")
    args = parser.parse_args(argv)

    torch.set_num_threads(args.threads or threads_by_rule(args))
    torch.manual_seed(args.seed)
    (env, spec), (eval_env, _) = make(args.task), make(args.task)
    if args.seed_steps is None:
        args.seed_steps = max(1000, 5 * spec.episode_length)
    args.iterations = args.iterations or (8 if spec.action_dim >= 20 else 6)
    chosen = {name: getattr(args, name) for name in [*sizes, "iterations"]}
    task = (spec.obs_dim, spec.action_dim, spec.episode_length, spec.episodic)
    agent = TDMPC2(Config(*task, **chosen))
    train(agent, env, eval_env, args)
    return agent


if __name__ == "__main__":
    main()
