"""The machine that a benchmark runs on, what it can do at best, and fair timing on it."""

from __future__ import annotations

import contextlib
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from mppi_zoo.compute.linear import linear

Call = Callable[[], object]


class Times(NamedTuple):
    """Milliseconds."""

    median: float
    best: float


def describe(threads: int) -> str:
    """CPU, threads and torch version, in words."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    cpu = names[0] if names else platform.processor() or platform.machine()
    kind = torch.backends.cpu.get_cpu_capability()
    return f"{cpu} ({kind}), {threads} thread(s), torch {torch.__version__}"


@contextlib.contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many cores kept busy by other programs."""
    command = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(command, start_new_session=True) for _ in range(loops)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def interleaved(calls: dict[str, Call], rounds: int) -> dict[str, Times]:
    """Each call's time over ``rounds`` rounds in which all take their turn, after one to warm up.

    With one thread it is the processor's time, into which other programs' turns do not enter; with
    more it is the clock's.
    """
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(-1, rounds):
        for name, call in calls.items():
            begun = clock()
            call()
            if number >= 0:
                times[name].append(1e3 * (clock() - begun))
    return {name: Times(statistics.median(ms), min(ms)) for name, ms in times.items()}


def peaks(size: int = 512, rounds: int = 200) -> dict[str, float]:
    """Best GFLOP/s of one layer's product, [size, size] x [size, size], by format and library."""
    x, weight = torch.randn(size, size), torch.randn(size, size)
    short = x.bfloat16(), weight.bfloat16()
    calls: dict[str, Call] = {
        "float32": lambda: linear(x, weight),
        "float32, torch's default": lambda: torch.nn.functional.linear(x, weight),
        "bfloat16": lambda: torch.nn.functional.linear(*short),
    }
    with torch.no_grad():
        times = interleaved(calls, rounds)
    return {name: 2e-6 * size**3 / ms.best for name, ms in times.items()}


def gigaflop(call: Call) -> float:
    """10^9 operations in the matrix products of one call."""

    def product(x: torch.Size, weight: torch.Size, *_: object, **__: object) -> int:
        return 2 * x.numel() * weight[0]

    products = (torch.ops.mppi_zoo.linear, torch.ops.mkldnn._linear_pointwise)
    with FlopCounterMode(display=False, custom_mapping=dict.fromkeys(products, product)) as f:
        call()
    return f.get_total_flops() / 1e9


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
