"""An agent's parts, built to the sizes of its environment, and their optimisers."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from mppi_zoo.core.optim import ClippedAdam
from mppi_zoo.core.ranges import NonNegative
from mppi_zoo.core.registration import register
from mppi_zoo.core.types import EnvSpec, Gaussian, NetworkSizes
from mppi_zoo.networks.critic import QCritic, VCritic
from mppi_zoo.networks.policy import Policy
from mppi_zoo.networks.world_model import WorldModel
from mppi_zoo.objective.kl_objective import KLObjective
from mppi_zoo.objective.prior import Prior, PriorParts


class Parts(NamedTuple):
    """The networks of an agent and its objective."""

    world_model: WorldModel
    critic: QCritic | VCritic
    policy: Policy
    prior: Prior
    objective: KLObjective

    def parameter_count(self) -> int:
        """Learned parameters, target networks left out."""
        return sum(p.numel() for m in self for p in m.parameters() if p.requires_grad)


def bad_parameters(parts: Parts) -> list[str]:
    """Names of the parameters and buffers that hold NaN or infinity."""
    return [
        f"{part}.{name}"
        for part, module in parts._asdict().items()
        for name, tensor in module.state_dict().items()
        if not bool(torch.isfinite(tensor).all())
    ]


def refuse_bad_parameters(parts: Parts, whose: str) -> None:
    """Check that all parameters are finite.

    Raises:
        ValueError: naming those that are not.
    """
    bad = bad_parameters(parts)
    if bad:
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise ValueError(
            f"the parameters {', '.join(bad[:5])}{more} of {whose} are not finite: such an agent "
            "cannot act; take an earlier checkpoint of its run"
        )


def version_count(parts: Parts) -> int:
    """A number that grows when a parameter or buffer is written in place."""
    return sum(t._version for m in parts for t in itertools.chain(m.parameters(), m.buffers()))


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
        sizes = NetworkSizes(model.latent_dim, spec.action_dim, model.mlp_dim)
        built_policy = policy(sizes).to(device)
        built_critic = critic(sizes).to(device)
        objective = objective.to(device, dtype)
        objective.lam.bind(spec.action_dim)
        built_prior = prior(PriorParts(sizes, built_policy, replan, objective.rho)).to(device)
    if objective.needs_prior and type(built_prior).dist is Prior.dist:
        raise ValueError(
            f"prior {type(built_prior).__name__} has no Gaussian, but the divergence "
            f"{type(objective.divergence).__name__} compares with one; use "
            "KLObjective.divergence = @NegativeEntropy() and KLObjective.kl_scale = "
            "@UnitScale(), or another prior"
        )
    return Parts(model, built_critic, built_policy, built_prior, objective)


@register
class Optimizers:
    """One optimiser for model and critics, one for the policy; a learned prior has its own.

    Args:
        parts: whose parameters they move.
        optimizer: (groups, lr=, eps=) -> :class:`~mppi_zoo.core.optim.ClippedAdam`.
        lr: learning rate of all networks but the encoder.
        encoder_lr_scale: the encoder's is this share of ``lr``.
        policy_eps: Adam's epsilon for the policy.
    """

    def __init__(
        self,
        parts: Parts,
        optimizer: Callable[..., ClippedAdam] = ClippedAdam,
        lr: NonNegative = 3e-4,
        encoder_lr_scale: NonNegative = 0.3,
        policy_eps: NonNegative = 1e-5,
    ):
        model = parts.world_model
        body = [p for n, p in model.named_parameters() if not n.startswith("encoder.")]
        groups = [
            {"params": list(model.encoder.parameters()), "lr": lr * encoder_lr_scale},
            {"params": [*body, *parts.critic.online.parameters()]},
        ]
        self.model = optimizer(groups, lr=lr)
        self.policy = optimizer(parts.policy.parameters(), lr=lr, eps=policy_eps)
