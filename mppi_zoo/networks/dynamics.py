"""The latent dynamics d(z, a): one network, or an ensemble of heads (docs/method.md, section 2).

Both have the same methods. Those that an ensemble needs and one network does not are identities
there, so that nobody asks which of the two a world model has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mppi_zoo.core.ranges import Size
from mppi_zoo.core.registration import register
from mppi_zoo.networks.layers import MLP, EnsembleDense, mlp, truncated_normal_init


class SingleDynamics(MLP):
    """One network."""

    heads = 1
    axes = 0  # of heads, in front of what `each` returns

    def spread(self, z: Tensor) -> Tensor:
        """Latents [..., Z] from which :meth:`each` can start: themselves."""
        return z

    def each(self, z: Tensor, action: Tensor) -> Tensor:
        """The next latent: z [..., Z] or [..., 1, Z], action [..., A] -> [..., Z]."""
        return self.joint(z, action)

    def in_turn(self, z: Tensor, action: Tensor) -> Tensor:
        """The same as :meth:`each`."""
        return self.joint(z, action)

    def mean(self, x: Tensor) -> Tensor:
        """The mean over heads of what :meth:`each` led to: x itself."""
        return x

    def deal(self, zs: Tensor) -> Tensor:
        """The roll-out [T+1, B, Z] itself."""
        return zs


class EnsembleDynamics(nn.Module):
    """D networks whose parameters are stacked along a leading axis, computed as batched products.

    A tensor *with heads* has one axis more in front: D, or 1 where it is common to all heads.

    Args:
        heads: D.
        step_dim: Z + A.
        hidden: width of each hidden block.
        latent_dim: Z.
        out_norm: the module after the LayerNorm of each latent.
    """

    axes = 1  # of heads, in front of what `each` returns

    def __init__(
        self,
        heads: int,
        step_dim: int,
        hidden: Sequence[int],
        latent_dim: int,
        out_norm: nn.Module,
    ):
        super().__init__()
        self.heads = heads
        dims = [step_dim, *hidden]
        layers = [
            EnsembleDense(heads, a, b, last=False, init=truncated_normal_init)
            for a, b in zip(dims, dims[1:], strict=False)
        ]
        out = EnsembleDense(
            heads, dims[-1], latent_dim, last=False, init=truncated_normal_init, activation=out_norm
        )
        self.layers = nn.ModuleList([*layers, out])

    def spread(self, z: Tensor) -> Tensor:
        """Latents [..., Z], common to all heads, from which each can start: [1, ..., Z]."""
        return z.unsqueeze(0)

    def each(self, z: Tensor, action: Tensor) -> Tensor:
        """Every head's next latent.

        Args:
            z: with heads, [1 or D, ..., Z]; [1 or D, ..., 1, Z] where many actions share a latent.
            action: with heads, [1 or D, ..., A].

        Returns:
            [D, ..., Z].
        """
        first, *others = self.layers
        y = first.joint(z, action)  # pyright: ignore[reportCallIssue]
        shape = y.shape[1:-1]
        y = y.flatten(1, -2)
        for layer in others:
            y = layer(y)
        return y.unflatten(1, shape)

    def in_turn(self, z: Tensor, action: Tensor) -> Tensor:
        """Next latents, the heads taking turns along the last axis but one: row n by n mod D.

        Args:
            z: [..., n, Z], or [..., 1, Z] where all actions start from one latent.
            action: [..., n, A].

        Returns:
            [..., n, Z].
        """
        rows = action.shape[-2]
        share = -(-rows // self.heads)  # of each head, padded to be the same

        def dealt(x: Tensor) -> Tensor:
            padded = F.pad(x, (0, 0, 0, share * self.heads - rows))
            return padded.unflatten(-2, (share, self.heads)).movedim(-2, 0)

        starts = dealt(z) if z.shape[-2] == rows else z.unsqueeze(0)
        y = self.each(starts, dealt(action))
        return y.movedim(0, -2).flatten(-3, -2)[..., :rows, :]

    def mean(self, x: Tensor) -> Tensor:
        """The mean over heads: [1 or D, ...] -> [...]."""
        return x.mean(0)

    def deal(self, zs: Tensor) -> Tensor:
        """One head of each window, b mod D of window b: [D, T+1, B, Z] -> [T+1, B, Z]."""
        head = torch.arange(zs.shape[-2], device=zs.device) % self.heads
        return zs.gather(0, head[None, None, :, None].expand(1, *zs.shape[1:])).squeeze(0)


Dynamics = SingleDynamics | EnsembleDynamics
# (Z + A, widths of the hidden blocks, Z, module after the LayerNorm) -> the network
DynamicsFactory = Callable[[int, Sequence[int], int, nn.Module], Dynamics]


@register
def single_dynamics(
    step_dim: int, hidden: Sequence[int], latent_dim: int, out_norm: nn.Module
) -> SingleDynamics:
    """One network: hidden blocks, then Linear -> LayerNorm -> ``out_norm``."""
    return SingleDynamics(*mlp(step_dim, hidden, latent_dim, out_norm=out_norm))


@register
def ensemble_dynamics(
    step_dim: int, hidden: Sequence[int], latent_dim: int, out_norm: nn.Module, heads: Size = 3
) -> EnsembleDynamics:
    """``heads`` networks of that form; they differ by their initial weights alone.

    The idea is EfficientTDMPC's (arXiv 2605.16692). The number is ours, and so is that the heads
    share no hidden block: the paper's text was not at hand.
    """
    return EnsembleDynamics(heads, step_dim, hidden, latent_dim, out_norm)
