"""Matmul precision: what float32 products are computed in on a GPU, set around a call.

TF32 keeps float32's range and 10 of the 23 bits of the mantissa in the factors of a product; sums
are float32. It is several times as fast on tensor cores. On a CPU nothing changes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from mppi_zoo.core.registration import register


class _Matmul:
    tf32 = False

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        """Within it products are computed so; what was set before comes back."""
        matmul = torch.backends.cuda.matmul
        before = matmul.allow_tf32
        if before == self.tf32:
            yield
            return
        matmul.allow_tf32 = self.tf32
        try:
            yield
        finally:
            matmul.allow_tf32 = before


@register
class Float32Matmul(_Matmul):
    """All bits of float32, whatever the process or its environment allows: the default."""


@register
class TF32Matmul(_Matmul):
    """TF32 in plans and updates: an approximation, docs/gpu.md says of which size."""

    tf32 = True
