"""The two losses of an update: pure functions of parts, scales, a batch and the draws.

Neither changes anything. New scales are returned, and the agent keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from mppi_zoo.agent.parts import Parts
from mppi_zoo.core.ranges import NonNegative, PositiveShare
from mppi_zoo.core.registration import register
from mppi_zoo.core.types import Batch, Gaussian, UpdateNoise
from mppi_zoo.networks.critic import CriticQuery, TargetQuery
from mppi_zoo.objective.kl_weight import LamWeights
from mppi_zoo.objective.scale import Statistics
from mppi_zoo.objective.soft_value import HardValue, SoftValue


class ModelTerms(NamedTuple):
    """The model loss of one batch."""

    loss: Tensor  # 0-d
    zs: Tensor  # [T+1, B, Z] roll-out z_0 .. z_T, with gradient
    metrics: dict[str, Tensor]  # 0-d, detached


class LossTerm(Protocol):
    """A further term of the model loss."""

    name: str

    def __call__(self, parts: Parts, batch: Batch, zs: Tensor) -> Tensor:
        """(parts, windows, roll-out [T+1, B, Z]) -> the term, unweighted, 0-d."""
        ...


@register
class ModelLoss:
    """The model's and critics' joint loss: named terms, each with a weight.

    The terms are those of docs/method.md, section 2.
    The world model names its terms itself (consistency, reward, termination) and so may add
    others; the critics' term is called value; ``terms`` brings those of neither.

    Args:
        consistency, reward, value, termination: weights of the terms that every member has.
        rho: temporal weight.
        terms: further terms, each a :class:`LossTerm`.
        weights: of further terms, by name.
        soft_value: what the critics' target holds of the divergence from the prior; None: nothing.
        terminal_steps: factor on the reward's and the value's loss of steps that say terminated.
    """

    def __init__(
        self,
        consistency: NonNegative = 20.0,
        reward: NonNegative = 0.1,
        value: NonNegative = 0.1,
        termination: NonNegative = 1.0,
        rho: PositiveShare = 0.5,
        terms: Sequence[LossTerm] = (),
        weights: Mapping[str, float] | None = None,
        soft_value: HardValue | SoftValue | None = None,
        terminal_steps: NonNegative = 1.0,
    ):
        own = {
            "consistency": consistency,
            "reward": reward,
            "value": value,
            "termination": termination,
        }
        self.rho, self.terms = rho, tuple(terms)
        self.weights, self.further = own | dict(weights or {}), set(weights or {})
        self.soft_value = HardValue() if soft_value is None else soft_value
        self.terminal_steps = terminal_steps

    def check(self, parts: Parts) -> None:
        """Refuse parts that a soft value has no meaning with.

        Raises:
            ValueError: naming the part.
        """
        self.soft_value.check(parts.prior, parts.objective, parts.critic.target_steps)

    def __call__(
        self, parts: Parts, batch: Batch, noise: UpdateNoise, lam_weights: LamWeights
    ) -> ModelTerms:
        """The loss of one batch; ``parts`` are not changed.

        Args:
            lam_weights: (w_R, w_KL), which a soft value reads.

        Raises:
            ValueError: a term has no weight, or a weight no term.
        """
        model, critic = parts.world_model, parts.critic
        # encode; targets carry no gradient
        z0 = model.encode(batch.obs[0])
        with torch.no_grad():
            next_z = model.encode(batch.obs[1:])
            latents = torch.cat([z0.detach().unsqueeze(0), next_z])
            soft = self.soft_value.cost(
                parts.policy, parts.prior, parts.objective, batch, lam_weights
            )
            query = TargetQuery(batch, latents, parts.policy, model, noise.target_policy, soft.cost)
            target = critic.target(query, noise.target_heads)
        # roll out from the first latent, by every dynamics head
        rolled = model.rollout(z0, batch.action)
        # terms; critics and policy read one head's roll-out of each window
        steps = self.step_weights(batch)
        stored = batch.action, batch.reward, batch.terminated
        terms = model.losses(rolled, next_z, *stored, self.rho, steps)
        zs = model.deal(rolled)
        taken = CriticQuery(zs[:-1], lambda: batch.action, model)
        value = critic.loss(taken, target, self.rho, noise.value_keep, steps)
        named = {**terms, "value": value, **{t.name: t(parts, batch, zs) for t in self.terms}}
        # weighted sum
        self._check(named)
        used = {name: weight for name, weight in self.weights.items() if name in named}
        loss: Tensor = sum(weight * named[name] for name, weight in used.items())  # pyright: ignore
        metrics = {f"{name}_loss": term.detach() for name, term in named.items()}
        metrics |= {"model_loss": loss.detach(), "target_mean": target.mean(), **soft.metrics}
        return ModelTerms(loss, zs, metrics)

    def step_weights(self, batch: Batch) -> Tensor | None:
        """Of the reward's and the value's loss, [T, B]; None where all are 1."""
        factor = self.terminal_steps
        return None if factor == 1 else 1 + (factor - 1) * batch.terminated

    def _check(self, named: Mapping[str, Tensor]) -> None:
        without, idle = named.keys() - self.weights.keys(), self.further - named.keys()
        if without or idle:
            raise ValueError(
                "ModelLoss: each term needs one weight"
                + (f"; add {', '.join(sorted(without))} to ModelLoss.weights" if without else "")
                + (f"; ModelLoss.weights has {', '.join(sorted(idle))}, no term" if idle else "")
            )


class PolicyTerms(NamedTuple):
    """The policy's loss of one batch: loss = cost - gain."""

    loss: Tensor  # 0-d
    gain: Tensor  # 0-d, weighted return and entropy
    cost: Tensor  # 0-d, weighted divergence
    divergence: Tensor  # 0-d, batch mean of the raw divergence, from which lambda adapts
    statistics: Statistics  # the objective's scales after this batch
    metrics: dict[str, Tensor]  # 0-d, detached


def policy_loss(
    parts: Parts,
    statistics: Statistics,
    z: Tensor,
    prior: Gaussian | None,
    batch: Batch,
    lam_weights: LamWeights,
    noise: UpdateNoise,
) -> PolicyTerms:
    """The policy's loss (docs/method.md, section 5).

    Args:
        statistics: the objective's scales before this batch.
        z: detached latents that count, [T', B, Z] with T' = T or T + 1.
        prior: P_prior at the first T of them at least; None where the prior has no Gaussian.
        lam_weights: (w_R, w_KL).
    """
    model, critic, window = parts.world_model, parts.critic, batch.action.shape[0]
    sample = parts.policy.sample(z, noise.policy[: z.shape[0]])

    def value() -> Tensor:
        keep = None if noise.policy_keep is None else noise.policy_keep[:, : z.shape[0]]
        query = CriticQuery(z, lambda: sample.action, model)
        return critic.q(query, noise.policy_heads, keep)

    def baseline() -> Tensor:
        query = CriticQuery(z[:window], lambda: batch.action, model)
        with torch.no_grad():
            return critic.q(query, noise.baseline_heads, noise.baseline_keep)

    terms = parts.objective(sample, prior, batch, lam_weights, statistics, value, baseline)
    divergence = terms.divergence.detach().mean()
    return PolicyTerms(
        loss=terms.loss,
        gain=terms.gain,
        cost=terms.cost,
        divergence=divergence,
        statistics=terms.statistics,
        metrics=terms.metrics(divergence) | {"policy_std": sample.std.detach().mean()},
    )
