"""Whether compiling pays on a CPU: a rule of sizes and of how often a run plans and updates.

Compiled and eager results differ in the last digits, so the same command must decide the same way:
nothing is timed here. The constants are those of one thread of a CPU with AVX2
(``benchmarks/bench_compiling.py``; docs/speed.md, "Compiling").
"""

from __future__ import annotations

import os
import shutil
import sys

COST = 120.0  # s, to compile everything with an empty cache
# s that a compiled plan or update saves: calls between small kernels, which cost the same at every
# size, and passes over activations, which grow with the hidden layers' products
SAVED_PER_CALL = 8e-3
SAVED_PER_MULTIPLICATION = 5e-10
MARGIN = 1.5  # compile only where it saves so many times its cost


def saved(calls: float, work: int) -> float:
    """Seconds that a run's plans and updates take less when they are compiled.

    Args:
        calls: plans and updates.
        work: multiplications of a hidden layer's product, :func:`~mppi_zoo.compute.threads.work`.
    """
    return calls * (SAVED_PER_CALL + SAVED_PER_MULTIPLICATION * work)


def pays(calls: float, work: int) -> bool:
    """Whether compiling saves clearly more time than it costs."""
    return saved(calls, work) > MARGIN * COST


def compiler() -> str | None:
    """The C++ compiler that torch would call; None where there is none."""
    usual = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    return shutil.which(os.environ.get("CXX") or usual)
