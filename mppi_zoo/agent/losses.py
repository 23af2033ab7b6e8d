"""The two losses of an update, functions of the agent's parts, a batch and the draws."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mppi_zoo.core.types import Batch, UpdateNoise
from mppi_zoo.networks.critic import QCritic, VCritic
from mppi_zoo.networks.policy import Policy
from mppi_zoo.networks.world_model import WorldModel
from mppi_zoo.objective.kl_objective import KLObjective, diagnostics
from mppi_zoo.objective.prior import Prior


class Parts(NamedTuple):
    """The networks of an agent and its objective."""

    world_model: WorldModel
    critic: QCritic | VCritic
    policy: Policy
    prior: Prior
    objective: KLObjective


class LossWeights(NamedTuple):
    """Weights of the model loss (spec section 2)."""

    consistency: float
    reward: float
    value: float
    termination: float


def model_loss(
    parts: Parts, weights: LossWeights, batch: Batch, noise: UpdateNoise
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """The model's and critics' joint loss (spec section 2).

    Returns:
        (loss 0-d, roll-out z_0 .. z_T [T+1, B, Z], figures for the log).
    """
    model, critic, rho = parts.world_model, parts.critic, parts.objective.rho
    z0 = model.encode(batch.obs[0])
    with torch.no_grad():
        next_z = model.encode(batch.obs[1:])
        latents = torch.cat([z0.detach().unsqueeze(0), next_z])
        target = critic.target(
            batch, latents, parts.policy, model, noise.target_policy, noise.target_heads
        )
    zs = model.rollout(z0, batch.action)
    terms = model.losses(zs, next_z, batch.action, batch.reward, batch.terminated, rho)
    value = critic.loss(zs[:-1], batch.action, target, rho, noise.value_keep)
    loss = (
        weights.consistency * terms.consistency
        + weights.reward * terms.reward
        + weights.value * value
        + weights.termination * terms.termination
    )
    figures = {
        "consistency_loss": terms.consistency,
        "reward_loss": terms.reward,
        "termination_loss": terms.termination,
        "value_loss": value,
        "model_loss": loss,
        "target_mean": target.mean(),
    }
    return loss, zs, {name: figure.detach() for name, figure in figures.items()}


def policy_loss(
    parts: Parts,
    zs: Tensor,
    batch: Batch,
    lam_weights: tuple[Tensor, Tensor],
    noise: UpdateNoise,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The policy's loss (spec section 5).

    Args:
        zs: detached latents z_0 .. z_T [T+1, B, Z].
        lam_weights: (w_R, w_KL).

    Returns:
        (loss 0-d, figures for the log).
    """
    model, critic, objective = parts.world_model, parts.critic, parts.objective
    window = batch.action.shape[0]
    used = window + objective.last_latent
    z = zs[:used]
    sample = parts.policy.sample(z, noise.policy[:used])

    def value() -> Tensor:
        keep = None if noise.policy_keep is None else noise.policy_keep[:, :used]
        return critic.q(z, sample.action, model, noise.policy_heads, keep)

    def baseline() -> Tensor:
        with torch.no_grad():
            heads, keep = noise.baseline_heads, noise.baseline_keep
            return critic.q(zs[:window], batch.action, model, heads, keep)

    prior = parts.prior.dist(z, batch)
    terms = objective(sample, prior, batch, lam_weights, value, baseline)
    figures = diagnostics(terms, objective)
    return terms.loss, figures | {"policy_std": sample.std.detach().mean()}
