"""What threads bring: a plan, a plan of eight states and an update with 1, 2, ... threads.

    python -m benchmarks.bench_threads --scales laptop size1 size5 --threads 1 2 --busy 1

Milliseconds by the clock, medians; all numbers of threads take their turn in one process. With
``--busy N`` that many endless loops run meanwhile, each in a session of its own: in the same
session the kernel would share cores by sessions. Waiting is passive, as in a run, unless
``OMP_WAIT_POLICY`` says otherwise. The rule in ``mppi_zoo/compute/threads.py`` rests on these.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

from mppi_zoo.compute import threads as rule

rule.wait_passively()  # before torch is imported

import numpy as np  # noqa: E402
import torch  # noqa: E402

from benchmarks import machine  # noqa: E402
from benchmarks.bench_parts import filled_replay  # noqa: E402
from benchmarks.machine import busy  # noqa: E402
from mppi_zoo.compute.memory import keep_freed_memory  # noqa: E402
from mppi_zoo.config import gin_config as config  # noqa: E402
from mppi_zoo.core.types import EnvSpec  # noqa: E402

STATES = 8  # as of an evaluation


def parts(scale: str, bindings: list[str]) -> dict[str, machine.Call]:
    """A plan, a plan of several states and an update, by name."""
    experiment = config.parse(["tdmpc2_equiv", f"scale/{scale}"], bindings)
    execution = experiment.execution(experiment.agent(EnvSpec(24, 6, 500)))
    agent = execution.agent
    replay = filled_replay(agent.spec, 2_000, agent.planner.horizon)
    batch = replay.sample(experiment.training.batch_size, np.random.default_rng(0))
    draws = torch.Generator().manual_seed(0)

    def plan(states: int) -> machine.Call:
        obs = torch.randn(states, 24)
        return lambda: execution.act(obs, agent.draw_plan_noise(states, draws))

    return {
        "plan": plan(1),
        f"plan of {STATES}": plan(STATES),
        "update": lambda: execution.update(batch, 0, agent.draw_update_noise(batch, draws)),
    }


def measure(call: machine.Call, numbers: list[int], seconds: float) -> dict[int, float]:
    """Median milliseconds by the number of threads, each for about that long."""
    times: dict[int, list[float]] = {number: [] for number in numbers}
    for threads in numbers:
        with rule.using(threads):
            call()
    end = time.perf_counter() + seconds * len(numbers)
    while time.perf_counter() < end or len(times[numbers[-1]]) < 5:
        for threads in numbers:
            with rule.using(threads):
                call()  # the first call with a number of threads wakes them
                begun = time.perf_counter()
                call()
                times[threads].append(1e3 * (time.perf_counter() - begun))
    return {threads: statistics.median(ms) for threads, ms in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scales", nargs="+", default=["laptop", "size1", "size5"])
    parser.add_argument("--param", action="append", default=[], help="a gin binding; repeatable")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, rule.usable_cores()])
    parser.add_argument("--busy", type=int, default=0, help="endless loops beside it")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each number")
    args = parser.parse_args()
    keep_freed_memory()
    print(f"{machine.describe(max(args.threads))}, {rule.usable_cores()} cores, {args.busy} busy, "
          f"waiting {os.environ['OMP_WAIT_POLICY'].lower()}")  # fmt: skip
    rows = []
    for scale in args.scales:
        for name, call in parts(scale, args.param).items():
            with busy(args.busy):
                times = measure(call, args.threads, args.seconds)
            first = times[args.threads[0]]
            figures = [f"{ms:.1f} ({first / ms:.2f} x)" for ms in times.values()]
            rows.append([f"{scale}, {name}", *figures])
            print(rows[-1], flush=True)
    print(machine.table(["ms", *(f"{n} thread(s)" for n in args.threads)], rows))


if __name__ == "__main__":
    main()
