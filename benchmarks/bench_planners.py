"""Time of one plan for one state, planner beside planner: ``python -m benchmarks.bench_planners``.

All members plan for the same observation, in turns; the fastest of the rounds counts, as what
else the machine does only ever adds. Ratios are to the first member. One thread unless asked for
more.
"""

from __future__ import annotations

import argparse
import time

import torch

from mppi_zoo.agent.execution import Execution
from mppi_zoo.config import gin_config as config
from mppi_zoo.core.types import EnvSpec

MEMBERS = (
    "tdmpc2_equiv",
    "tdmpc2_icem",
    "tdmpc2_cautious",
    "dream_tdmpc2",
    "bmpc_equiv",
    "dream_mpc",
)
SPEC = EnvSpec(24, 6, 500)  # dmc:walker-walk's sizes


def built(member: str, scale: str, compiled: bool) -> Execution:
    """The member at a scale, with rewards and values that tell actions apart."""
    torch.manual_seed(0)
    experiment = config.parse([member, f"scale/{scale}"])
    execution = experiment.execution(experiment.agent(SPEC, seed=0))
    agent = execution.agent
    with torch.no_grad():
        for net in (agent.world_model.reward_net, agent.critic.online):
            list(net.parameters())[-2].normal_(0.0, 0.1)
    if compiled:
        execution.compile()
    return execution


def seconds(execution: Execution, generator: torch.Generator) -> float:
    """One plan, its draws included, with a last plan to start from."""
    agent = execution.agent
    obs = torch.randn(1, SPEC.obs_dim, generator=generator)
    warm = torch.randn(agent.planner.warm_rows, 1, SPEC.action_dim, generator=generator).tanh()
    start = time.perf_counter()
    execution.act(obs, agent.draw_plan_noise(1, generator), warm_start=warm)
    return time.perf_counter() - start


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="size5")
    parser.add_argument("--members", nargs="+", default=MEMBERS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    executions = {name: built(name, args.scale, args.compile) for name in args.members}
    generator = torch.Generator().manual_seed(0)
    for execution in executions.values():  # whatever the first calls prepare
        seconds(execution, generator)
    taken: dict[str, list[float]] = {name: [] for name in executions}
    for _ in range(args.rounds):
        for name, execution in executions.items():
            taken[name].append(seconds(execution, generator))
    first = min(taken[args.members[0]])
    print(f"{args.scale}, {args.threads} thread(s), {'compiled' if args.compile else 'eager'}")
    for name, times in taken.items():
        best = min(times)
        print(f"{name:20} {1e3 * best:8.2f} ms, the first {first / best:6.2f} times as long")


if __name__ == "__main__":
    main()
