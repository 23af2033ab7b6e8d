"""States planned a second when N environments are planned as one batch: N = 1, 4, 16."""

from __future__ import annotations

import argparse

import torch

from benchmarks import machine
from mppi_zoo.config import gin_config as config
from mppi_zoo.core.types import EnvSpec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scales", nargs="+", default=["laptop", "size5"])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(machine.describe(args.threads) + (", compiled" if args.compile else ", eager"))
    rows = []
    for scale in args.scales:
        experiment = config.parse(["tdmpc2_equiv", f"scale/{scale}"])
        execution = experiment.execution(experiment.agent(EnvSpec(24, 6, 500)))
        if args.compile:
            execution.compile()
        draws = torch.Generator().manual_seed(0)

        def plan(states: int, execution=execution, draws=draws) -> machine.Call:
            obs = torch.randn(states, 24)
            agent = execution.agent
            return lambda: execution.act(obs, agent.draw_plan_noise(states, draws))

        times = machine.interleaved({str(n): plan(n) for n in (1, 4, 16)}, args.rounds)
        for n, ms in times.items():
            rate = 1e3 * int(n) / ms.median
            rows.append([f"{scale}, N = {n}", f"{ms.median:.1f}", f"{ms.best:.1f}", f"{rate:.1f}"])
    print(machine.table(["", "median ms", "best ms", "plans/s"], rows))


if __name__ == "__main__":
    main()
