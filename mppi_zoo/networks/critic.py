"""Critic ensembles over (z, a) or z: value, target, loss (docs/method.md, sections 2 and 5)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Annotated, NamedTuple

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from mppi_zoo.core.math import pair_mean, pair_min, temporal_weights, weighted
from mppi_zoo.core.ranges import Layers, Probability, Share
from mppi_zoo.core.registration import register
from mppi_zoo.core.rollout import discounted_rollout
from mppi_zoo.core.types import Batch, NetworkSizes, Step
from mppi_zoo.networks.layers import EnsembleMLP, Init, polyak_, truncated_normal_init
from mppi_zoo.networks.policy import Policy
from mppi_zoo.networks.two_hot import TwoHot
from mppi_zoo.networks.world_model import WorldModel

PairReduction = Callable[[Tensor], Tensor]
Heads = Annotated[int, Ge(2), Le(1000)]  # two are drawn at a time


class CriticQuery(NamedTuple):
    """Latents with an action each; a critic evaluates action and step only if it needs them."""

    z: Tensor  # [..., Z]
    act: Callable[[], Tensor]  # -> [..., A]
    model: WorldModel

    def action(self) -> Tensor:
        """The action at z, [..., A]."""
        return self.act()

    def step(self) -> Step:
        """The model's step from z with the action, by each of its dynamics heads."""
        return self.model.step_each(self.model.spread(self.z), self.act())


# (latents [T, B, Z] of o_t+ahead, the policy's noise there [T, B, A], ahead) -> what being there
# costs [T, B], or a number
StateCost = Callable[[Tensor, Tensor, int], Tensor | float]


def free(z: Tensor, noise: Tensor, ahead: int) -> float:
    """The :data:`StateCost` of a critic of plain returns: 0."""
    return 0.0


class TargetQuery(NamedTuple):
    """What a critic's target may be made of."""

    batch: Batch
    latents: Tensor  # [T+1, B, Z] encoded observations
    policy: Policy
    model: WorldModel
    noise: Tensor  # [n, T, B, A] policy noise, n = ``target_steps``
    cost: StateCost = free  # what the policy pays at a state, besides its return


class Critic(nn.Module):
    """What Q and V share: an online ensemble, its Polyak-averaged target, the two-hot loss.

    Args:
        in_dim: width of the ensemble's input.
        heads: E, at least 2.
        dropout: rate in the first hidden layer of the online heads.
        hidden_init: initialisation of the two hidden layers.
        target_pair: reduction of the two drawn target heads.
        policy_pair: reduction of the two drawn heads that the policy maximises.
        target_rate: Polyak rate of the target copy.
    """

    target_steps: int = 1

    def __init__(
        self,
        in_dim: int,
        mlp_dim: int,
        heads: int,
        dropout: float,
        hidden_init: Init,
        target_pair: PairReduction,
        policy_pair: PairReduction,
        target_rate: float,
    ):
        super().__init__()
        self.heads, self.dropout, self.mlp_dim = heads, dropout, mlp_dim
        self.target_pair, self.policy_pair = target_pair, policy_pair
        self.target_rate = target_rate
        self.two_hot = TwoHot()
        self.online = EnsembleMLP(heads, in_dim, mlp_dim, self.two_hot.bins, hidden_init)
        self.target_net = copy.deepcopy(self.online).requires_grad_(False)

    def loss_from_input(
        self,
        x: Tensor,
        target: Tensor,
        rho: float,
        keep: Tensor | None,
        step_weights: Tensor | None,
    ) -> Tensor:
        """(1/(T E)) sum_e sum_t rho^t mean_B w CE: x [T, B, in], target and w [T, B] -> 0-d."""
        weights = temporal_weights(rho, x.shape[0], x)
        entropy = self.two_hot.cross_entropy(self.online(x, keep=keep), target)
        entropy = weighted(entropy, step_weights)
        return (weights * entropy.mean(2)).mean()

    def update_target(self) -> None:
        """target <- target + rate (online - target)."""
        polyak_(self.target_net, self.online, self.target_rate)


@register
class QCritic(Critic):
    """Action values with a model-free one-step target."""

    def __init__(
        self,
        sizes: NetworkSizes,
        heads: Heads = 5,
        dropout: Share = 0.01,
        hidden_init: Init = truncated_normal_init,
        target_pair: PairReduction = pair_min,
        policy_pair: PairReduction = pair_mean,
        target_rate: Probability = 0.01,
    ):
        super().__init__(
            sizes.latent_dim + sizes.action_dim,
            sizes.mlp_dim,
            heads,
            dropout,
            hidden_init,
            target_pair,
            policy_pair,
            target_rate,
        )

    def state_value(self, at: CriticQuery, heads: Tensor) -> Tensor:
        """The planner's terminal value: mean of two online heads of Q(z, a ~ pi), [...]."""
        x = torch.cat([at.z, at.action()], -1)
        return pair_mean(self.two_hot.decode(self.online(x, heads)))

    def state_values(self, at: CriticQuery) -> Tensor:
        """All online heads of Q(z, a ~ pi), [E, ...]."""
        return self.two_hot.decode(self.online(torch.cat([at.z, at.action()], -1)))

    def q(self, at: CriticQuery, heads: Tensor, keep: Tensor | None) -> Tensor:
        """What the policy maximises, Q(z, a): [...]."""
        x = torch.cat([at.z, at.action()], -1)
        return self.policy_pair(self.two_hot.decode(self.online(x, heads, keep)))

    def target(self, at: TargetQuery, heads: Tensor) -> Tensor:
        """y_t = r_t + gamma (1 - terminated_t) * V_t+1 with the value of the next state

        V_t+1 = pair(target Q(z'_{t+1}, a' ~ pi)) - cost(z'_{t+1}), [T, B].
        """
        batch, z = at.batch, at.latents[1:]
        x = torch.cat([z, at.policy.act(z, at.noise[0])], -1)
        value = self.target_pair(self.two_hot.decode(self.target_net(x, heads)))
        value = value - at.cost(z, at.noise[0], 1)
        return batch.reward + at.model.discount * (1 - batch.terminated) * value

    def loss(
        self,
        at: CriticQuery,
        target: Tensor,
        rho: float,
        keep: Tensor | None,
        step_weights: Tensor | None = None,
    ) -> Tensor:
        """Two-hot regression at z [T, B, Z] and the actions to target [T, B]: 0-d.

        Args:
            step_weights: [T, B]; None: all 1.
        """
        x = torch.cat([at.z, at.action()], -1)
        return self.loss_from_input(x, target, rho, keep, step_weights)


@register
class VCritic(Critic):
    """State values with a model-based on-policy target of ``target_steps`` model steps (BMPC)."""

    def __init__(
        self,
        sizes: NetworkSizes,
        heads: Heads = 2,
        dropout: Share = 0.01,
        hidden_init: Init = truncated_normal_init,
        target_pair: PairReduction = pair_mean,
        policy_pair: PairReduction = pair_mean,
        target_rate: Probability = 0.01,
        target_steps: Layers = 1,
    ):
        super().__init__(
            sizes.latent_dim,
            sizes.mlp_dim,
            heads,
            dropout,
            hidden_init,
            target_pair,
            policy_pair,
            target_rate,
        )
        self.target_steps = target_steps

    def state_value(self, at: CriticQuery, heads: Tensor) -> Tensor:
        """The planner's terminal value: mean of two online heads of V(z), [...]."""
        return pair_mean(self.two_hot.decode(self.online(at.z, heads)))

    def state_values(self, at: CriticQuery) -> Tensor:
        """All online heads of V(z), [E, ...]."""
        return self.two_hot.decode(self.online(at.z))

    def q(self, at: CriticQuery, heads: Tensor, keep: Tensor | None) -> Tensor:
        """The model's own one-step value r(z, a) + discount * pair(V(d(z, a))), [...].

        With an ensemble of dynamics it is the mean over heads, as is the target.
        """
        step = at.step()
        value = self.policy_pair(self.two_hot.decode(self.online(step.z, heads, keep)))
        return at.model.mean_over_heads(step.reward + step.discount * value)

    def target(self, at: TargetQuery, heads: Tensor) -> Tensor:
        """n model steps on policy from the encoded state, then pair(target V), [T, B].

        A state's value holds its own cost, so each of the n states costs, the last one in V.
        """
        costs: list[Tensor | float] = []

        def act(z: Tensor, t: int) -> Tensor:
            costs.append(at.cost(z, at.noise[t], t))
            return at.policy.act(z, at.noise[t])

        def step(z: Tensor, action: Tensor) -> Step:
            made = at.model.step_each(z, action)
            return made._replace(reward=made.reward - costs[-1])

        start = at.model.spread(at.latents[:-1])
        z, total, discount = discounted_rollout(step, start, act, at.noise.shape[0])
        value = self.target_pair(self.two_hot.decode(self.target_net(z, heads)))
        return at.model.mean_over_heads(total + discount * value)

    def loss(
        self,
        at: CriticQuery,
        target: Tensor,
        rho: float,
        keep: Tensor | None,
        step_weights: Tensor | None = None,
    ) -> Tensor:
        """Two-hot regression at z [T, B, Z] to target [T, B]: 0-d; see :meth:`QCritic.loss`."""
        return self.loss_from_input(at.z, target, rho, keep, step_weights)
