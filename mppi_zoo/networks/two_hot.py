"""Two-hot regression: rewards and values as classes over bins (docs/method.md, section 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mppi_zoo.core.math import symexp, symlog


class TwoHot(nn.Module):
    """Scalars as class weights over bins evenly spaced in symlog space.

    Source: docs/method.md, section 2.2. Values outside the bins' range are clamped to it.
    """

    def __init__(self, low: float = -10.0, high: float = 10.0, bins: int = 101):
        super().__init__()
        self.low, self.high, self.bins = low, high, bins
        self.width = (high - low) / (bins - 1)
        self.support: Tensor
        self.register_buffer("support", torch.linspace(low, high, bins), persistent=False)

    def decode(self, logits: Tensor) -> Tensor:
        """Logits [..., C] -> expected scalar [...]."""
        return symexp(torch.softmax(logits, -1) @ self.support)

    def _position(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = symlog(x).clamp(self.low, self.high)
        lower = torch.floor((y - self.low) / self.width)
        # The top bin has no upper neighbour. The neighbour's share is 0 there up to rounding, so
        # any bin will do: callers wrap around to the first.
        # NaN cannot be an index; with 0 in its place the loss becomes NaN, which the run reports.
        return lower.nan_to_num().long(), (y - (self.low + lower * self.width)) / self.width

    def encode(self, x: Tensor) -> Tensor:
        """Scalars [...] -> class weights [..., C] that sum to 1, at most two of them non-zero."""
        lower, share = self._position(x)
        upper = (lower + 1) % self.bins
        weights = torch.zeros(*x.shape, self.bins, dtype=x.dtype, device=x.device)
        weights.scatter_(-1, lower.unsqueeze(-1), (1 - share).unsqueeze(-1))
        return weights.scatter_add_(-1, upper.unsqueeze(-1), share.unsqueeze(-1))

    def cross_entropy(self, logits: Tensor, x: Tensor) -> Tensor:
        """Cross-entropy of logits [..., C] with the two-hot code of x [...]: [...].

        Reads the two classes of non-zero weight instead of building the code.
        """
        lower, share = self._position(x)
        upper = (lower + 1) % self.bins
        both = torch.stack([lower, upper], -1).expand(*logits.shape[:-1], 2)
        picked = torch.gather(torch.log_softmax(logits, -1), -1, both)
        return -((1 - share) * picked[..., 0] + share * picked[..., 1])
