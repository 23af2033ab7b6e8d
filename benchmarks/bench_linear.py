"""From which size on oneDNN's product is faster than torch's default.

For `mppi_zoo/compute/linear.py`.

Microseconds, medians; the forward alone without a gradient, and forward with backward.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from mppi_zoo.compute import linear as ours

ROWS = (128, 384, 512, 1024)
LAYERS = ((64, 128), (128, 128), (256, 256), (512, 512))


def median(call: Callable[..., object], *leaves: Tensor, rounds: int = 60) -> float:
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        call(*leaves)
        times.append(time.perf_counter() - begun)
    return 1e6 * statistics.median(times)


def with_backward(product: Callable[..., Tensor]) -> Callable[..., object]:
    return lambda *leaves: torch.autograd.grad(product(*leaves).sum(), leaves)


def main() -> None:
    print(
        f"{torch.get_num_threads()} threads; forward: torch, oneDNN; with backward: torch, oneDNN"
    )
    for rows in ROWS:
        for inputs, outputs in LAYERS:
            leaves = [torch.randn(rows, inputs), torch.randn(outputs, inputs), torch.randn(outputs)]
            figures = [median(product, *leaves) for product in (F.linear, ours._product)]
            learned = [leaf.requires_grad_() for leaf in leaves]
            for product in (F.linear, torch.ops.mppi_zoo.linear):
                figures.append(median(with_backward(product), *learned))
            size = (rows * inputs * outputs).bit_length() - 1
            row = "  ".join(f"{figure:7.0f}" for figure in figures)
            print(f"{rows:5d} x {inputs:4d} -> {outputs:4d}, 2^{size}: {row}", flush=True)


if __name__ == "__main__":
    main()
