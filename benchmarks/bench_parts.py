"""Milliseconds of the parts of a training step, per member: ``make bench``.

Medians over interleaved rounds on random numbers; hardware and threads are named. Sizes:
``--scale laptop|size1|size5``; ``--members`` chooses the gin files.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from mppi_zoo import config
from mppi_zoo.agent import POMPCAgent
from mppi_zoo.base import Batch, EnvSpec, Gaussian
from mppi_zoo.replay import Replay

MEMBERS = ("tdmpc2_equiv", "bmpc_equiv", "pompc_adaptive_fkl")


def filled_replay(spec: EnvSpec, steps: int, horizon: int) -> Replay:
    """A replay of ``steps`` random steps in episodes of the spec's length."""
    replay = Replay(spec, 2 * steps, horizon)
    obs, action = torch.randn(steps + 1, 1, spec.obs_dim), torch.randn(1, spec.action_dim).tanh()
    plan = Gaussian(action, torch.full_like(action, 0.5))
    zero = torch.zeros(1)
    for step in range(steps):
        done = np.array([(step + 1) % spec.episode_length == 0])
        replay.add(obs[step], action, zero, zero, done, obs[step + 1], plan)
    return replay


def cases(agent: POMPCAgent, replay: Replay, batch_size: int) -> dict[str, Callable[[], object]]:
    """The parts to time, by name."""
    draws = torch.Generator(agent.device).manual_seed(0)
    rows = np.random.default_rng(0)
    batch: Batch = replay.sample(batch_size, rows)
    obs, stored = batch.obs[0, :1], batch.obs[:-1, :20].flatten(0, 1)
    return {
        "plan": lambda: agent.act(obs, agent.draw_plan_noise(1, draws)),
        "replan 60": lambda: agent.replan(stored, agent.draw_plan_noise(len(stored), draws)),
        "update": lambda: agent.update(batch, 0, agent.draw_update_noise(batch, draws)),
        "sample": lambda: replay.sample(batch_size, rows),
    }


def medians(parts: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each part, the parts taken in turn."""
    times: dict[str, list[float]] = {name: [] for name in parts}
    for round_number in range(rounds + 1):
        for name, call in parts.items():
            begun = time.perf_counter()
            call()
            if round_number:  # the first round warms up
                times[name].append(1e3 * (time.perf_counter() - begun))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="laptop")
    parser.add_argument("--members", nargs="+", default=MEMBERS)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--obs-dim", type=int, default=24)
    parser.add_argument("--action-dim", type=int, default=6)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"{platform.processor() or platform.machine()}, {args.threads} threads, {args.scale}")
    spec = EnvSpec(args.obs_dim, args.action_dim, 500)
    for member in args.members:
        experiment = config.parse([member, f"scale/{args.scale}"])
        agent = experiment.agent(spec)
        if args.compile:
            agent.compile()
        replay = filled_replay(spec, 2_000, agent.planner.horizon)
        parts = cases(agent, replay, experiment.training.batch_size)
        figures = medians(parts, args.rounds)
        text = "  ".join(f"{name} {ms:8.2f} ms" for name, ms in figures.items())
        print(f"{member:22s} {text}")


if __name__ == "__main__":
    main()
