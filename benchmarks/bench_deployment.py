"""Latency of the exported policy and planner, loaded as plain torch does: p50 and p99."""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks import machine
from mppi_zoo.config import gin_config as config
from mppi_zoo.core.types import EnvSpec
from mppi_zoo.deploy import export
from mppi_zoo.deploy.controller import threads_for


def milliseconds(call: machine.Call, rounds: int) -> np.ndarray:
    for _ in range(5):
        call()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - begun))
    return np.asarray(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scales", nargs="+", default=["laptop", "size5"])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--threads", type=int, help="default: as mppi_zoo.load chooses them")
    args = parser.parse_args()
    rows = []
    for scale in args.scales:
        experiment = config.parse(["tdmpc2_equiv", f"scale/{scale}"])
        execution = experiment.execution(experiment.agent(EnvSpec(24, 6, 500)))
        torch.set_num_threads(args.threads or threads_for(execution.agent))
        print(f"{scale}: {machine.describe(torch.get_num_threads())}")
        obs, plan = torch.randn(1, 24), torch.zeros(3, 1, 6)
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            files = export.save(execution, Path(folder))
            policy, planner = (torch.export.load(file).module() for file in files)
            noise = execution.agent.draw_plan_noise(1, None)
            latencies = {
                "exported policy": milliseconds(partial(policy, obs), 5 * args.rounds),
                "exported planner": milliseconds(partial(planner, obs, plan), args.rounds),
                "the package's planner": milliseconds(
                    partial(execution.act, obs, noise, greedy=True), args.rounds
                ),
            }
        for name, times in latencies.items():
            p50, p99 = np.percentile(times, [50, 99])
            rows.append([f"{scale}, {name}", f"{p50:.2f}", f"{p99:.2f}"])
    print(machine.table(["", "p50 ms", "p99 ms"], rows))


if __name__ == "__main__":
    main()
