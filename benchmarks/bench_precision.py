"""What bfloat16 planning changes on a trained agent: elites, actions, against another seed's.

    python -m benchmarks.bench_precision RUN_FOLDER

The states are those that the agent's bare policy visits. Elites: share of the K elites that both
precisions choose, from the same draws. Actions: root mean square of the difference of the plan's
first action, between precisions with the same draws, and in float32 between two seeds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

import mppi_zoo
from benchmarks import machine
from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.agent.views import BFloat16Hidden
from mppi_zoo.core.rng import generator_for
from mppi_zoo.envs import EpisodeVector
from mppi_zoo.planning.base import PlanResult
from mppi_zoo.planning.mppi import MPPIPlanner, PlanIteration
from mppi_zoo.planning.mppi_noise import MPPINoise
from mppi_zoo.runs import folder as run_folder


def visited(agent: POMPCAgent, task: str, states: int) -> Tensor:
    """Observations [states, O] of ten episodes under the bare policy, twenty steps apart."""
    with EpisodeVector(task, 10, 0, "precision") as envs:
        obs, kept = envs.reset(), []
        while 10 * len(kept) < states:
            kept.append(torch.from_numpy(obs))
            for _ in range(20):
                obs = envs.step(agent.policy_action(agent.tensor(obs)).numpy())[0]
    return torch.cat(kept)[:states]


def planned(
    execution: Execution, obs: Tensor, noise: MPPINoise
) -> tuple[PlanResult, list[PlanIteration]]:
    """A watched plan from scratch."""
    seen: list[PlanIteration] = []
    execution.refreshed_networks()
    agent = execution.agent
    planner, z, model = agent.planner, agent.world_model.encode(obs), execution.planning_model()
    assert isinstance(planner, MPPIPlanner)
    return planner.plan(z, model, noise, greedy=True, on_iteration=seen.append), seen


def overlap(first: PlanIteration, second: PlanIteration) -> float:
    """Share of the elites' numbers that both have."""
    same = first.elites.unsqueeze(2) == second.elites.unsqueeze(1)
    return float(same.any(2).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--task", default="dmc:walker-walk")
    parser.add_argument("--states", type=int, default=100)
    args = parser.parse_args()
    record = run_folder.read(args.run)
    exact, short = (mppi_zoo.load(args.run, best=False).agent for _ in range(2))
    exactly, shortly = Execution(exact), Execution(short, BFloat16Hidden)
    rows = []
    obs = visited(exact, args.task, args.states)
    for samples, elites, proposals, iterations in ((512, 64, 24, 6), (128, 16, 8, 4)):
        for agent in (exact, short):
            agent.planner = MPPIPlanner(
                samples=samples,
                elites=elites,
                policy_samples=proposals,
                iterations=iterations,
            )
        draws = [
            exact.draw_plan_noise(args.states, generator_for(seed, "precision")) for seed in (0, 1)
        ]
        result, seen = planned(exactly, obs, draws[0])
        rounded, seen_rounded = planned(shortly, obs, draws[0])
        other, _ = planned(exactly, obs, draws[1])

        def rms(one: PlanResult, two: PlanResult) -> float:
            return float((one.mean[0] - two.mean[0]).square().mean().sqrt())

        rows.append(
            [
                f"{samples} samples, {elites} elites, {iterations} iterations",
                f"{overlap(seen[0], seen_rounded[0]):.3f}",
                f"{overlap(seen[-1], seen_rounded[-1]):.3f}",
                f"{rms(result, rounded):.4f}",
                f"{rms(result, other):.4f}",
            ]
        )
    print(f"{record['spec']}, {args.states} states, {machine.describe(torch.get_num_threads())}")
    header = ["", "elites shared, first iteration", "last", "rms to bfloat16", "rms to other seed"]
    print(machine.table(header, rows))


if __name__ == "__main__":
    main()
