"""The latent world model: encoder, model step, roll-out, and its losses.

Source: docs/method.md, section 2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mppi_zoo.core.math import discount_factor, temporal_weights, weighted
from mppi_zoo.core.ranges import Layers, Positive, Probability, Size
from mppi_zoo.core.registration import register
from mppi_zoo.core.types import EnvSpec, Step
from mppi_zoo.networks.alive import Alive, HardCut
from mppi_zoo.networks.dynamics import DynamicsFactory, single_dynamics
from mppi_zoo.networks.encoder import Encoder, vector_encoder
from mppi_zoo.networks.layers import LatentNorm, mlp, simnorm, zero_init
from mppi_zoo.networks.normalizer import Normalizer, NormalizerFactory
from mppi_zoo.networks.two_hot import TwoHot


@register
class WorldModel(nn.Module):
    """Encoder, dynamics, reward and, in episodic tasks, termination networks.

    Args:
        spec: the environment's sizes.
        latent_dim: Z, a multiple of SimNorm's group.
        enc_dim: width of the encoder.
        mlp_dim: M, width of all other networks.
        num_enc_layers: layers of the encoder; fewer than 2 count as 2.
        reward_hidden_layers: 2; BOOM's program has 3.
        latent_norm: (latent_dim, action_dim) -> the module after the LayerNorm of each latent.
        discount: gamma; None derives it from the episode length (docs/method.md, section 1).
        encoder: builds the network from observations to latents; see
            :data:`~mppi_zoo.networks.encoder.Encoder`.
        dynamics: builds the network from latent and action to the next latent, one or an ensemble;
            see :data:`~mppi_zoo.networks.dynamics.DynamicsFactory`.
        normalizer: (obs) -> what observations pass before the encoder, such as
            :class:`~mppi_zoo.networks.normalizer.ObsNormalizer`; None: nothing.
        alive: (logit of an end [...]) -> factor on the discount; None: :class:`HardCut`.
        terminal_weight: factor on the termination loss where a step ended its episode. Above 1 it
            makes up for how rare such steps are, and the predicted probability is too high.
    """

    def __init__(
        self,
        spec: EnvSpec,
        latent_dim: Size = 512,
        enc_dim: Size = 256,
        mlp_dim: Size = 512,
        num_enc_layers: Layers = 2,
        reward_hidden_layers: Layers = 2,
        latent_norm: LatentNorm = simnorm,
        discount: Probability | None = None,
        encoder: Encoder = vector_encoder,
        dynamics: DynamicsFactory = single_dynamics,
        normalizer: NormalizerFactory | None = None,
        alive: Alive | None = None,
        terminal_weight: Positive = 1.0,
    ):
        super().__init__()
        self.latent_dim, self.mlp_dim, self.spec = latent_dim, mlp_dim, spec
        self.two_hot = TwoHot()
        self.alive_rule, self.terminal_weight = alive or HardCut(), terminal_weight
        step_dim = latent_dim + spec.action_dim

        def norm() -> nn.Module:
            return latent_norm(latent_dim, spec.action_dim)

        hidden = [mlp_dim, mlp_dim]
        reward_hidden = [mlp_dim] * reward_hidden_layers
        self.normalizer = Normalizer() if normalizer is None else normalizer(spec.obs)
        self.encoder = encoder(spec.obs, enc_dim, num_enc_layers, latent_dim, norm())
        self.dynamics = dynamics(step_dim, hidden, latent_dim, norm())
        self.reward_net = mlp(step_dim, reward_hidden, self.two_hot.bins, out_init=zero_init)
        self.termination_net = mlp(latent_dim, hidden, 1) if spec.episodic else None
        gamma = discount_factor(spec.episode_length) if discount is None else discount
        self.discount: Tensor
        self.register_buffer("discount", torch.tensor(float(gamma)), persistent=False)

    def encode(self, obs: Tensor) -> Tensor:
        """Observations [..., O] -> latents [..., Z]."""
        return self.encoder(self.normalizer(obs))

    def next(self, z: Tensor, action: Tensor) -> Tensor:
        """The next latent d(z, a): [..., Z], [..., A] -> [..., Z]; see :meth:`step`."""
        return self.dynamics.in_turn(z, action)

    def reward(self, z: Tensor, action: Tensor) -> Tensor:
        """Predicted reward [...]."""
        return self.two_hot.decode(self.reward_net.joint(z, action))

    def alive(self, z: Tensor) -> Tensor:
        """What of the discount is left at z [..., Z]: [...] in [0, 1], by the rule ``alive``."""
        if self.termination_net is None:
            return torch.ones(z.shape[:-1], dtype=z.dtype, device=z.device)
        return self.alive_rule(self.termination_net(z).squeeze(-1))

    def step(self, z: Tensor, action: Tensor) -> Step:
        """One step of the model; its discount is 0 after a termination (docs/method.md, section 4).

        An ensemble's heads take turns along the last axis but one: row n steps by head n mod D.

        Args:
            z: [..., Z], or [..., 1, Z] where all actions start from one latent.
            action: [..., A].
        """
        next_z = self.next(z, action)
        return Step(next_z, self.reward(z, action), self.discount * self.alive(next_z))

    def step_each(self, z: Tensor, action: Tensor) -> Step:
        """One step of every dynamics head by itself (docs/method.md, section 8).

        Args:
            z: from :meth:`spread`, or of the step before: [(1 or D,) ..., Z].
            action: [..., A], common to all heads, or [(1 or D,) ..., A].

        Returns:
            z [(D,) ..., Z], reward [(1 or D,) ...] and discount [(D,) ...]; the axis of heads is
            there only in an ensemble.
        """
        if action.ndim < z.ndim:
            action = action.expand(z.shape[0], *action.shape)
        next_z = self.dynamics.each(z, action)
        return Step(next_z, self.reward(z, action), self.discount * self.alive(next_z))

    def spread(self, z: Tensor) -> Tensor:
        """Latents [..., Z] from which :meth:`step_each` can start: [(1,) ..., Z]."""
        return self.dynamics.spread(z)

    def mean_over_heads(self, x: Tensor) -> Tensor:
        """The mean over dynamics heads, [(D,) ...] -> [...]."""
        return self.dynamics.mean(x)

    def rollout(self, z: Tensor, actions: Tensor) -> Tensor:
        """z_0 [B, Z] and actions [T, B, A] -> z_0 ... z_T by each head, [(D,) T+1, B, Z]."""
        zs = [self.spread(z)]
        for action in actions.unbind(0):
            if action.ndim < zs[-1].ndim:
                action = action.expand(zs[-1].shape[0], *action.shape)
            zs.append(self.dynamics.each(zs[-1], action))
        return torch.stack([zs[0].expand_as(zs[1]), *zs[1:]], -3)

    def deal(self, zs: Tensor) -> Tensor:
        """The roll-outs at which policy and critics learn, [(D,) T+1, B, Z] -> [T+1, B, Z].

        Each window is rolled out by one head: window b by head b mod D.
        """
        return self.dynamics.deal(zs)

    def losses(
        self,
        zs: Tensor,
        next_z: Tensor,
        action: Tensor,
        reward: Tensor,
        terminated: Tensor,
        rho: float,
        step_weights: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The loss terms of the model, without the critics', by name, unweighted, 0-d each.

        Source: docs/method.md, section 2.3.

        Every head of an ensemble learns from every window: the means are over heads too.

        Args:
            zs: [(D,) T+1, B, Z] roll-out from the first observation, with gradient.
            next_z: [T, B, Z] encoded observations 1 .. T, without gradient.
            action: [T, B, A]; reward, terminated: [T, B].
            rho: temporal weight.
            step_weights: [T, B] of the reward's term; None: all 1.
        """
        weights = temporal_weights(rho, action.shape[0], zs)
        # a slice for each term: the order in which gradients add up, and with it their last digits
        mse = (zs[..., 1:, :, :] - next_z).square().mean((-2, -1))
        before = zs[..., :-1, :, :]
        logits = self.reward_net.joint(before, action.expand(*before.shape[:-1], -1))
        reward_ce = weighted(self.two_hot.cross_entropy(logits, reward), step_weights).mean(-1)
        termination = zs.new_zeros(())
        if self.termination_net is not None:
            logit = self.termination_net(zs[..., 1:, :, :]).squeeze(-1)
            rare = None if self.terminal_weight == 1 else logit.new_tensor(self.terminal_weight)
            termination = F.binary_cross_entropy_with_logits(
                logit, terminated.expand_as(logit), pos_weight=rare
            )
        return {
            "consistency": (weights * mse).mean(),
            "reward": (weights * reward_ce).mean(),
            "termination": termination,
        }
