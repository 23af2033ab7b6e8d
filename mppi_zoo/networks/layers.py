"""Parts of networks: hidden block, latent norm, MLP, ensemble (docs/method.md, section 2.1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mppi_zoo.compute.activations import group_softmax, mish
from mppi_zoo.compute.linear import ensemble_linear, linear
from mppi_zoo.core.ranges import Count, Size
from mppi_zoo.core.registration import register

Init = Callable[[Tensor, Tensor], None]


@register
def truncated_normal_init(weight: Tensor, bias: Tensor) -> None:
    """Weights normal with std 0.02, biases 0, in place: the default of all members."""
    nn.init.trunc_normal_(weight, std=0.02)
    nn.init.zeros_(bias)


@register
def uniform_fan_in_init(weight: Tensor, bias: Tensor) -> None:
    """Weights and biases uniform in +-1/sqrt(fan_in), in place: PyTorch's default for Linear.

    BMPC's program initialises the critics' hidden layers this way (docs/method.md, section 2.1).
    """
    bound = 1 / math.sqrt(weight.shape[-1])
    nn.init.uniform_(weight, -bound, bound)
    nn.init.uniform_(bias, -bound, bound)


def zero_init(weight: Tensor, bias: Tensor) -> None:
    """Weights and biases 0, in place: for the last layers of reward network and critics."""
    nn.init.zeros_(weight)
    nn.init.zeros_(bias)


class SimNorm(nn.Module):
    """Softmax within groups of neighbouring channels: [..., Z] -> [..., Z].

    Raises:
        ValueError: if ``dim`` is not a multiple of ``group``.
    """

    def __init__(self, dim: int, group: int = 8):
        super().__init__()
        if dim % group:
            raise ValueError(
                f"SimNorm: latent size {dim} is not a multiple of the group size {group}; "
                f"choose a multiple of {group}, for example {math.ceil(dim / group) * group}"
            )
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        return group_softmax(x, self.group)


LatentNorm = Callable[[int, int], nn.Module]


@register
def simnorm(latent_dim: int, action_dim: int, group: Size = 8) -> nn.Module:
    """SimNorm for any action size: every member but BOOM."""
    del action_dim
    return SimNorm(latent_dim, group)


@register
def simnorm_unless_medium_action(
    latent_dim: int, action_dim: int, group: Size = 8, low: Count = 24, high: Count = 48
) -> nn.Module:
    """BOOM's rule: SimNorm, but where low <= A <= high nothing after the LayerNorm."""
    return nn.Identity() if low <= action_dim <= high else SimNorm(latent_dim, group)


class Linear(nn.Linear):
    """torch's Linear, computed in the dtype of its weights whatever the input's."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x.to(self.weight.dtype), self.weight, self.bias)


class Dense(Linear):
    """The hidden block of every network: Linear -> LayerNorm -> activation.

    Norm and activation are computed in the dtype of the norm's parameters.
    """

    def __init__(self, in_dim: int, out_dim: int, activation: Callable[[Tensor], Tensor] = mish):
        super().__init__(in_dim, out_dim)
        self.ln = nn.LayerNorm(out_dim)
        self.activation = activation
        truncated_normal_init(self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self._finish(super().forward(x))

    def joint(self, z: Tensor, action: Tensor) -> Tensor:
        """The block at [z, action]: z [..., Z] or [..., 1, Z], action [..., A].

        Where many actions share one z ([..., 1, Z]), the product of z with its weights is computed
        once.
        """
        if z.shape[:-1] == action.shape[:-1]:
            return self(torch.cat([z, action], -1))
        weight, width = self.weight, z.shape[-1]
        shared = linear(z.to(weight.dtype), weight[:, :width], self.bias)
        return self._finish(shared + linear(action.to(weight.dtype), weight[:, width:]))

    def _finish(self, y: Tensor) -> Tensor:
        return self.activation(self.ln(y.to(self.ln.weight.dtype)))


class MLP(nn.Sequential):
    """A sequence of layers, of which the first is a :class:`Dense`."""

    def joint(self, z: Tensor, action: Tensor) -> Tensor:
        """The network at [z, action]: z [..., Z] or [..., 1, Z], action [..., A]."""
        first, *others = self
        y = first.joint(z, action)  # pyright: ignore[reportCallIssue]
        for layer in others:
            y = layer(y)
        return y


def mlp(
    in_dim: int,
    hidden: Sequence[int],
    out_dim: int,
    *,
    out_norm: nn.Module | None = None,
    out_init: Init = truncated_normal_init,
) -> MLP:
    """Hidden blocks, then an output layer.

    Args:
        in_dim: length of the input.
        hidden: width of each hidden block.
        out_dim: length of the output.
        out_norm: makes the output layer Linear -> LayerNorm -> ``out_norm``; None: a plain Linear.
        out_init: initialises a plain output layer.
    """
    dims = [in_dim, *hidden]
    layers: list[nn.Module] = [Dense(a, b) for a, b in zip(dims, dims[1:], strict=False)]
    if out_norm is not None:
        return MLP(*layers, Dense(dims[-1], out_dim, activation=out_norm))
    last = Linear(dims[-1], out_dim)
    out_init(last.weight, last.bias)
    return MLP(*layers, last)


class EnsembleDense(nn.Module):
    """E linear layers as one batched product; all but a last one add LayerNorm and activation.

    Args:
        heads: E.
        in_dim, out_dim: lengths of input and output.
        last: whether it is the linear layer that ends a network.
        init: initialises the weights and biases of one head.
        activation: after the LayerNorm.
    """

    def __init__(
        self,
        heads: int,
        in_dim: int,
        out_dim: int,
        *,
        last: bool,
        init: Init,
        activation: Callable[[Tensor], Tensor] = mish,
    ):
        super().__init__()
        self.activation = activation
        self.weight = nn.Parameter(torch.empty(heads, out_dim, in_dim))
        self.bias = nn.Parameter(torch.empty(heads, out_dim))
        for weight, bias in zip(self.weight.data, self.bias.data, strict=True):
            init(weight, bias)
        self.ln = None if last else nn.ParameterDict()
        if self.ln is not None:
            self.ln["weight"] = nn.Parameter(torch.ones(heads, out_dim))
            self.ln["bias"] = nn.Parameter(torch.zeros(heads, out_dim))

    def forward(self, x: Tensor, heads: Tensor | None = None, keep: Tensor | None = None) -> Tensor:
        """x [e, n, in] -> [e, n, out], through the given heads [e]; None: all.

        ``keep`` [e, n, out] is a multiplicative dropout mask; None: no dropout.
        """

        def chosen(parameter: Tensor) -> Tensor:
            return parameter if heads is None else parameter.index_select(0, heads)

        x = x.to(self.weight.dtype)
        y = ensemble_linear(x, chosen(self.weight), chosen(self.bias))
        if self.ln is None:
            return y
        y = y.to(self.ln["weight"].dtype)
        y = y if keep is None else y * keep
        return self._finish(y, chosen(self.ln["weight"]), chosen(self.ln["bias"]))

    def joint(self, z: Tensor, action: Tensor) -> Tensor:
        """All heads at [z, action]: z [1 or E, ..., Z] or [1 or E, ..., 1, Z], action
        [1 or E, ..., A] -> [E, ..., out].

        Where many actions share one z, the product of z with its weights is computed once.
        """
        assert self.ln is not None

        def product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            rows = x.flatten(1, -2).expand(weight.shape[0], -1, -1).to(weight.dtype)
            return ensemble_linear(rows, weight, bias).unflatten(1, x.shape[1:-1])

        if z.shape[1:-1] == action.shape[1:-1]:
            count = max(z.shape[0], action.shape[0])
            both = [x.expand(count, *x.shape[1:]) for x in (z, action)]
            y = product(torch.cat(both, -1), self.weight, self.bias)
        else:
            width = z.shape[-1]
            shared = product(z, self.weight[..., :width], self.bias)
            y = shared + product(action, self.weight[..., width:], None)
        gain, shift = self.ln["weight"], self.ln["bias"]
        flat = y.to(gain.dtype).flatten(1, -2)
        return self._finish(flat, gain, shift).unflatten(1, y.shape[1:-1])

    def _finish(self, y: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
        """LayerNorm with the gain and shift [e, out] of each head, and the activation."""
        if gain.shape[0] == 1:  # one kernel less, and Dense's numbers to the last bit
            return self.activation(F.layer_norm(y, y.shape[-1:], gain[0], shift[0]))
        y = F.layer_norm(y, y.shape[-1:])
        return self.activation(torch.addcmul(shift.unsqueeze(1), y, gain.unsqueeze(1)))


class EnsembleMLP(nn.Module):
    """E networks of two hidden layers whose parameters are stacked along a leading axis E.

    Only the heads asked for are computed: planner and targets need two of the five.
    """

    def __init__(self, heads: int, in_dim: int, hidden: int, out_dim: int, hidden_init: Init):
        super().__init__()
        self.heads = heads
        self.hidden = hidden
        self.layers = nn.ModuleList(
            [
                EnsembleDense(heads, in_dim, hidden, last=False, init=hidden_init),
                EnsembleDense(heads, hidden, hidden, last=False, init=hidden_init),
                EnsembleDense(heads, hidden, out_dim, last=True, init=zero_init),
            ]
        )

    def forward(self, x: Tensor, heads: Tensor | None = None, keep: Tensor | None = None) -> Tensor:
        """x [..., in] -> [e, ..., out] of the given heads [e]; None: of all.

        ``keep`` [e, ..., M] is the dropout mask of the first hidden layer; further leading axes of
        x share it.
        """
        count = self.heads if heads is None else heads.shape[0]
        y = x.flatten(0, -2).expand(count, -1, -1)
        if keep is not None:
            for _ in range(x.ndim + 1 - keep.ndim):
                keep = keep.unsqueeze(1)
            keep = keep.expand(-1, *x.shape[:-1], -1).flatten(1, -2)
        for layer in self.layers:
            y = layer(y, heads, keep)
            keep = None
        return y.unflatten(1, x.shape[:-1])


@torch.no_grad()
def polyak_(target: nn.Module, source: nn.Module, rate: float) -> None:
    """target <- target + rate (source - target), parameter by parameter, in place."""
    ours, theirs = list(target.parameters()), list(source.parameters())
    torch._foreach_lerp_(ours, theirs, rate)  # pyright: ignore
