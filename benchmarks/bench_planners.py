"""Plans of members beside MPPI's, which is `tdmpc2_equiv`: how many times as long one state takes.

    python -m benchmarks.bench_planners --scale size5 --threads 1

All take their turn in one process, eager unless said. The products are counted beside the time: an
ensemble of 3 with all heads and depths has 4.8 times those of one model, dealt out 1.6 times.
"""

from __future__ import annotations

import argparse

import torch

from benchmarks import machine
from mppi_zoo.agent.execution import Execution
from mppi_zoo.compute.memory import keep_freed_memory
from mppi_zoo.config import gin_config as config
from mppi_zoo.core.types import EnvSpec

BASELINE = "tdmpc2_equiv"
DEALT = "POMPCAgent.view=@mean_view"
# a row's name -> member and further bindings
CASES: dict[str, tuple[str, ...]] = {
    "MPPI": (BASELINE,),
    "ensemble of 3, all heads and depths": ("efficient_tdmpc",),
    "the same, candidates dealt out": ("efficient_tdmpc", DEALT),
}


def execution_of(member: str, scale: str, spec: EnvSpec, *params: str) -> Execution:
    """What runs a member's agent of that scale."""
    torch.manual_seed(0)
    experiment = config.parse([member, f"scale/{scale}"], params)
    return experiment.execution(experiment.agent(spec))


def plan(execution: Execution, obs: torch.Tensor) -> machine.Call:
    """One plan of the state, its draws included."""
    draws = torch.Generator().manual_seed(0)
    agent = execution.agent
    return lambda: execution.act(obs, agent.draw_plan_noise(1, draws))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="size5", help="laptop, size1, size5, ...")
    parser.add_argument("--members", nargs="*", default=[], help="further members")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_freed_memory()  # as in a run
    print(machine.describe(args.threads))
    spec = EnvSpec(24, 6, 500)
    obs = torch.randn(1, spec.obs_dim)
    cases = CASES | {member: (member,) for member in args.members}
    calls: dict[str, machine.Call] = {}
    for name, (member, *params) in cases.items():
        execution = execution_of(member, args.scale, spec, *params)
        calls[name] = plan(execution, obs)
    work = {name: machine.gigaflop(call) for name, call in calls.items()}
    if args.compile:
        for name, (member, *params) in cases.items():
            execution = execution_of(member, args.scale, spec, *params)
            execution.compile()
            calls[name] = plan(execution, obs)
    times = machine.interleaved(calls, args.rounds)
    first = next(iter(calls))
    print(
        "| planner | ms | best ms | times MPPI's | times MPPI's products |\n|---|---|---|---|---|"
    )
    for name, time in times.items():
        ratio, products = time.median / times[first].median, work[name] / work[first]
        print(f"| {name} | {time.median:.1f} | {time.best:.1f} | {ratio:.3g} | {products:.3g} |")


if __name__ == "__main__":
    main()
