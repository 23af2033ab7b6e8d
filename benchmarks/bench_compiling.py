"""What compiling costs, with an empty cache and with torch's cache on disk, and what it saves.

    python -m benchmarks.bench_compiling --scale laptop

A process for each: seconds by the clock until a plan and an update have run once, then their
medians, eager and compiled. With one thread the medians are the processor's time. The rule in
``mppi_zoo/compute/compiling.py`` rests on these.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch

from benchmarks import machine
from benchmarks.bench_parts import cases, filled_replay
from mppi_zoo.compute.memory import keep_freed_memory
from mppi_zoo.config import gin_config as config
from mppi_zoo.core.types import EnvSpec

PARTS = ("plan", "update")


def one_process(args: argparse.Namespace) -> None:
    """Compile, and print how long that took and how fast it is."""
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    spec = EnvSpec(24, 6, 500)
    experiment = config.parse([args.member, f"scale/{args.scale}"])
    executions = {
        kind: experiment.execution(experiment.agent(spec)) for kind in ("eager", "compiled")
    }
    horizon = executions["eager"].agent.planner.horizon
    replay = filled_replay(spec, 2_000, horizon)
    batch = replay.sample(experiment.training.batch_size, np.random.default_rng(0))
    executions["compiled"].compile()
    parts = {kind: cases(execution, replay, batch) for kind, execution in executions.items()}
    for part in PARTS:
        begun = time.perf_counter()
        parts["compiled"][part]()
        print(f"  {part}: compiled in {time.perf_counter() - begun:.0f} s", end="", flush=True)
        calls = {kind: parts[kind][part] for kind in parts}
        times = machine.interleaved(calls, args.rounds)
        print("; " + ", ".join(f"{kind} {ms.median:.1f} ms" for kind, ms in times.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--member", default="tdmpc2_equiv")
    parser.add_argument("--scale", default="laptop")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.here:
        one_process(args)
        return
    print(machine.describe(args.threads))
    with tempfile.TemporaryDirectory() as cache:
        for state in ("empty cache", "torch's cache on disk"):
            print(f"{args.member}, {args.scale}, {state}:", flush=True)
            command = [sys.executable, "-m", "benchmarks.bench_compiling", *sys.argv[1:], "--here"]
            environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": cache}
            subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    main()
