"""Plan, re-analysis, update and sample of the package beside the references and a released program.

    python -m benchmarks.bench_parts --scale size5 --compile --released CLONE_OF_TDMPC2 \\
        --released-bmpc CLONE_OF_BMPC

All take their turn in one process. Ours: eager, with ``--bfloat16`` and ``--compile`` also so. The
references of ``baselines/`` and the released programs run eager. Ratios are theirs over ours.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from baselines import bmpc, tdmpc2
from benchmarks import machine, released
from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.compute.memory import keep_freed_memory
from mppi_zoo.config import gin_config as config
from mppi_zoo.core.types import Batch, EnvSpec, Gaussian
from mppi_zoo.planning.mppi import MPPIPlanner
from mppi_zoo.training.replay import Replay

MEMBERS = ("tdmpc2_equiv", "bmpc_equiv", "pompc_adaptive_fkl")
REFERENCES = {
    "tdmpc2_equiv": (tdmpc2.Config, tdmpc2.TDMPC2),
    "bmpc_equiv": (bmpc.Config, bmpc.BMPC),
}
PARTS = ("plan", "replan 60", "update", "sample")


def filled_replay(
    spec: EnvSpec, steps: int, horizon: int, device: torch.device | str = "cpu"
) -> Replay:
    """A replay of ``steps`` random steps in episodes of the spec's length."""
    replay = Replay(spec, 2 * steps, horizon, device=device)
    obs, action = torch.randn(steps + 1, 1, spec.obs_dim), torch.randn(1, spec.action_dim).tanh()
    plan = Gaussian(action, torch.full_like(action, 0.5))
    zero = torch.zeros(1)
    for step in range(steps):
        done = np.array([(step + 1) % spec.episode_length == 0])
        replay.add(obs[step], action, zero, zero, done, obs[step + 1], plan)
    return replay


def cases(execution: Execution, replay: Replay, batch: Batch) -> dict[str, machine.Call]:
    """The parts of ours, by name."""
    agent = execution.agent
    draws = torch.Generator(agent.device).manual_seed(0)
    rows = np.random.default_rng(0)
    obs, stored = batch.obs[0, :1], batch.obs[:-1, :20].flatten(0, 1)
    size = batch.reward.shape[1]
    return {
        "plan": lambda: execution.act(obs, agent.draw_plan_noise(1, draws)),
        "replan 60": lambda: execution.replan(stored, agent.draw_plan_noise(len(stored), draws)),
        "update": lambda: execution.update(batch, 0, agent.draw_update_noise(batch, draws)),
        "sample": lambda: replay.sample(size, rows),
    }


def reference(member: str, agent: POMPCAgent, enc_dim: int, batch: Batch):
    """The single-file reference with the sizes of ours, and the batch as it wants it."""
    config_class, agent_class = REFERENCES[member]
    planner, model, spec = agent.planner, agent.world_model, agent.spec
    assert isinstance(planner, MPPIPlanner)
    settings = config_class(
        spec.obs_dim,
        spec.action_dim,
        enc_dim=enc_dim,
        mlp_dim=model.mlp_dim,
        latent_dim=model.latent_dim,
        num_q=agent.critic.heads,
        iterations=planner.iterations(spec.action_dim),
        samples=planner.samples,
        elites=planner.elites,
        policy_samples=planner.policy_samples,
    )
    return agent_class(settings), named(batch)


def named(batch: Batch) -> dict[str, torch.Tensor]:
    """A batch as the references want it."""
    named = {"obs": batch.obs, "action": batch.action, "reward": batch.reward}
    return named | {
        "terminated": batch.terminated,
        "mu": batch.plans()[0].mean,
        "std": batch.plans()[0].std,
    }


def reference_cases(member: str, agent: POMPCAgent, enc_dim: int, batch: Batch):
    """The parts of the single-file reference, by name."""
    program, arrays = reference(member, agent, enc_dim, batch)
    first = {name: tensor[:, :20] for name, tensor in arrays.items()}
    state = batch.obs[0, :1] if member == "bmpc_equiv" else batch.obs[0, 0]
    parts = {
        "plan": lambda: program.plan(state, None, True),
        "update": lambda: program.update(arrays),
    }
    if member == "bmpc_equiv":
        parts["replan 60"] = lambda: program.reanalyze(first)
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="laptop", help="laptop, size1, size5, ...")
    parser.add_argument("--members", nargs="+", default=MEMBERS)
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--obs-dim", type=int, default=24)
    parser.add_argument("--action-dim", type=int, default=6)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--bfloat16", action="store_true", help="planning with bfloat16 too")
    parser.add_argument("--released", type=Path, help="a clone of the released TD-MPC2")
    parser.add_argument("--released-bmpc", type=Path, help="a clone of the released BMPC")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_freed_memory()  # as in a run; theirs gain by it too
    peaks = machine.peaks()
    print(machine.describe(args.threads))
    print("peak: " + ", ".join(f"{name} {speed:.0f} GFLOP/s" for name, speed in peaks.items()))
    spec = EnvSpec(args.obs_dim, args.action_dim, 500)
    rows: list[list[str]] = []
    for member in args.members:
        versions: dict[str, dict[str, machine.Call]] = {}
        experiment = config.parse([member, f"scale/{args.scale}"])
        agent = experiment.agent(spec)
        execution = experiment.execution(agent)
        replay = filled_replay(spec, 2_000, agent.planner.horizon)
        batch = replay.sample(experiment.training.batch_size, np.random.default_rng(0))
        versions["eager"] = ours = cases(execution, replay, batch)
        work = {name: machine.gigaflop(ours[name]) for name in args.parts}
        for short in (False, True) if args.bfloat16 else (False,):
            precision = "BFloat16Hidden" if short else "SamePrecision"
            binding = [f"Execution.planning_precision=@{precision}"]
            for compiled in (False, True) if args.compile else (False,):
                if not short and not compiled:
                    continue
                experiment = config.parse([member, f"scale/{args.scale}"], binding)
                other = experiment.execution(experiment.agent(spec))
                if compiled:
                    other.compile()
                name = ("bfloat16 " if short else "") + ("compiled" if compiled else "eager")
                parts = cases(other, replay, batch)
                kept = ("plan", "replan 60") if short else ("plan", "replan 60", "update")
                versions[name] = {part: parts[part] for part in kept}
        # the published sizes of the encoder that the scale's file sets; 256 where it sets none
        enc_dim = next(agent.world_model.encoder.parameters()).shape[0]
        if member in REFERENCES:
            versions["reference"] = reference_cases(member, agent, enc_dim, batch)
        clones = {"tdmpc2_equiv": args.released, "bmpc_equiv": args.released_bmpc}
        if (clone := clones.get(member)) is not None:
            program = released.load(clone, agent, enc_dim, 2, batch.reward.shape[1])
            versions["released"] = released.cases(program, batch)
        for part in args.parts:
            calls = {name: parts[part] for name, parts in versions.items() if part in parts}
            times = machine.interleaved(calls, args.rounds)
            theirs = [name for name in ("reference", "released") if name in times]
            for name, ms in times.items():
                speed, format_ = work[part] / ms.median * 1e3, name.split()[0]
                peak = peaks["bfloat16" if format_ == "bfloat16" else "float32"]
                own = name not in theirs and work[part] > 0
                ratios = [
                    f"{times[other].median / ms.median:.2f} ({times[other].best / ms.best:.2f})"
                    if other in times and name not in theirs
                    else ""
                    for other in ("reference", "released")
                ]
                share = [f"{speed:.0f}", f"{speed / peak:.0%}"] if own else ["", ""]
                figures = [f"{ms.median:.2f}", f"{ms.best:.2f}"]
                rows.append([f"{member} {part}, {name}", *figures, *ratios, *share])
    print(f"\n{args.scale}, {args.obs_dim} observations, {args.action_dim} actions\n")
    header = ["part", "median ms", "best ms", "x reference (best)", "x released (best)"]
    print(machine.table([*header, "GFLOP/s", "of the peak"], rows))


if __name__ == "__main__":
    main()
