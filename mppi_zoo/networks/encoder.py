"""Encoders: factories of the network from observations to latents.

To encode observations in another way, register a factory (``core.registration.register``) and name
it in the configuration: ``WorldModel.encoder = @my_encoder``, with ``--import`` of its module.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from mppi_zoo.core.registration import register
from mppi_zoo.core.types import ObsSpec
from mppi_zoo.networks.layers import mlp

Encoder = Callable[[ObsSpec, int, int, int, nn.Module], nn.Module]
"""(obs, enc_dim, layers, latent_dim, out_norm) -> module of observations [..., O] -> [..., Z].

obs: what the observations are made of; ``obs.split`` takes flat ones apart.
enc_dim: width of the hidden layers.
layers: count of the layers.
latent_dim: Z.
out_norm: the module that every latent passes through last, such as SimNorm, [..., Z] -> [..., Z].

A factory raises ValueError for observations that it cannot encode.
"""


@register
def vector_encoder(
    obs: ObsSpec, enc_dim: int, layers: int, latent_dim: int, out_norm: nn.Module
) -> nn.Module:
    """An MLP on flat observations [..., O], whatever their entries: every member's encoder.

    It has max(layers - 1, 1) hidden blocks.

    Raises:
        ValueError: the observations are no vectors of numbers, but images, say.
    """
    if len(obs.shape) != 1:
        raise ValueError(
            f"vector_encoder got observations of shape {obs.shape}; expected vectors (O,). Flatten "
            "them, or set WorldModel.encoder to a factory that encodes this shape"
        )
    hidden = [enc_dim] * max(layers - 1, 1)
    return mlp(obs.size, hidden, latent_dim, out_norm=out_norm)
