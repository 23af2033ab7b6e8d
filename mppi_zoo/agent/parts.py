"""An agent's parts, built to the sizes of its environment, and what its optimisers hold."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from mppi_zoo.agent.losses import Parts
from mppi_zoo.core.types import EnvSpec, Gaussian
from mppi_zoo.networks.critic import QCritic, VCritic
from mppi_zoo.networks.policy import Policy
from mppi_zoo.networks.world_model import WorldModel
from mppi_zoo.objective.kl_objective import KLObjective
from mppi_zoo.objective.prior import Prior, PriorParts


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Parameters and buffers made inside have this dtype, constants at its full precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def build_parts(
    spec: EnvSpec,
    world_model: Callable[..., WorldModel],
    policy: Callable[..., Policy],
    critic: Callable[..., QCritic | VCritic],
    prior: Callable[..., Prior],
    objective: KLObjective,
    replan: Callable[[Tensor], Gaussian],
    device: torch.device,
    dtype: torch.dtype,
) -> Parts:
    """The networks and the objective on the device.

    Args:
        world_model, policy, critic, prior: factories; see
            :class:`~mppi_zoo.agent.agent.POMPCAgent`.
        replan: observations [n, O] -> planner distributions there, for priors that plan anew.

    Raises:
        ValueError: the objective's divergence needs a Gaussian that the prior does not have.
    """
    with default_dtype(dtype):
        model = world_model(spec).to(device)
        latent_dim, mlp_dim = model.latent_dim, model.mlp_dim
        actor = policy(spec, latent_dim, mlp_dim=mlp_dim).to(device)
        values = critic(spec, latent_dim, mlp_dim=mlp_dim).to(device)
        objective = objective.to(device, dtype)
        objective.lam.bind(spec.action_dim)
        known = PriorParts(spec, latent_dim, mlp_dim, actor, replan, objective.rho)
        reference = prior(known).to(device)
    if objective.needs_prior and type(reference).dist is Prior.dist:
        raise ValueError(
            f"prior {type(reference).__name__} has no Gaussian, but the divergence "
            f"{type(objective.divergence).__name__} compares with one; use "
            "KLObjective.divergence = @NegativeEntropy() and KLObjective.kl_scale = "
            "@UnitScale(), or another prior"
        )
    return Parts(model, values, actor, reference, objective)


def model_groups(
    world_model: WorldModel, critic: QCritic | VCritic, encoder_lr: float
) -> list[dict[str, Any]]:
    """What the model's optimiser holds: the encoder at its own rate, all else of the model loss."""
    body = [p for n, p in world_model.named_parameters() if not n.startswith("encoder.")]
    return [
        {"params": list(world_model.encoder.parameters()), "lr": encoder_lr},
        {"params": [*body, *critic.online.parameters()]},
    ]
