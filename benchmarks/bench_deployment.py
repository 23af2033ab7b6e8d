"""Latencies of acting for one state, p50 and p99: eager, compiled, exported, onnxruntime.

    python -m benchmarks.bench_deployment --scales laptop size5 [--deadline 0.015]

``--deadline`` measures ``Controller.act(..., deadline=...)`` instead. Needs the extra ``onnx``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks import machine
from mppi_zoo.config import gin_config as config
from mppi_zoo.core.types import EnvSpec
from mppi_zoo.deploy import export
from mppi_zoo.deploy.actions import ActionSpace
from mppi_zoo.deploy.controller import Controller
from mppi_zoo.deploy.loading import threads_for

OBS, ACTION = 24, 6
ACTIONS = ActionSpace([-1.0] * ACTION, [1.0] * ACTION)


def milliseconds(call: machine.Call, rounds: int) -> np.ndarray:
    for _ in range(10):
        call()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - begun))
    return np.asarray(times)


def controller_of(scale: str, threads: int | None) -> Controller:
    experiment = config.parse(["tdmpc2_equiv", f"scale/{scale}"])
    execution = experiment.execution(experiment.agent(EnvSpec(OBS, ACTION, 500)))
    number = threads or threads_for(execution.agent)
    torch.set_num_threads(number)
    print(f"{scale}: {machine.describe(number)}")
    return Controller(execution, ACTIONS, threads=number)


def latencies(scale: str, args: argparse.Namespace) -> Iterator[tuple[str, np.ndarray]]:
    """(what, milliseconds) of every way to act."""
    controller = controller_of(scale, args.threads)
    obs, rounds = np.random.default_rng(0).normal(size=OBS), args.rounds
    policy = partial(controller.act, obs, planner=False, native=True)
    planner = partial(controller.act, obs, native=True)
    yield "policy, eager", milliseconds(policy, 5 * rounds)
    yield "planner, eager", milliseconds(planner, rounds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export.save(controller.execution, ACTIONS, folder, fallback="zero", onnx=args.onnx)
        states = torch.from_numpy(obs.astype(np.float32))[None]
        last, plan = torch.zeros(1, ACTION), torch.zeros(3, 1, ACTION)
        programs = [
            export.load_program(folder / f"{n}.pt2").module() for n in ("policy", "planner")
        ]
        yield "policy, exported", milliseconds(partial(programs[0], states, last), 5 * rounds)
        yield "planner, exported", milliseconds(partial(programs[1], states, last, plan), rounds)
        if args.onnx:
            yield from in_onnxruntime(folder, controller, states, args)
    controller.execution.compile()
    controller.warm_up()
    yield "planner, compiled", milliseconds(planner, rounds)


def in_onnxruntime(
    folder: Path, controller: Controller, obs: torch.Tensor, args: argparse.Namespace
) -> Iterator[tuple[str, np.ndarray]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = controller.threads
    noise = controller.agent.draw_plan_noise(1, None)
    given = {f"noise_{k}": v.numpy() for k, v in noise._asdict().items() if v is not None}
    given |= {"obs": obs.numpy(), "last": np.zeros((1, ACTION), np.float32)}
    given["plan"] = np.zeros((3, 1, ACTION), np.float32)
    for name, rounds in (("policy", 5 * args.rounds), ("planner", args.rounds)):
        session = onnxruntime.InferenceSession(folder / f"{name}.onnx", options)
        inputs = {entry.name: given[entry.name] for entry in session.get_inputs()}
        yield f"{name}, onnxruntime", milliseconds(partial(session.run, None, inputs), rounds)


def under_deadline(scale: str, args: argparse.Namespace) -> Iterator[tuple[str, np.ndarray]]:
    """(what, milliseconds) of acting by the deadline, eager and compiled."""
    controller = controller_of(scale, args.threads)
    draws = np.random.default_rng(0)
    for kind in ("eager", "compiled") if args.compile else ("eager",):
        if kind == "compiled":
            controller.execution.compile()
        controller.warm_up()
        made = []

        def act(made: list[int | None] = made) -> None:
            controller.act(draws.normal(size=OBS), deadline=args.deadline)
            assert controller.last is not None
            made.append(controller.last.iterations)

        times = milliseconds(act, args.rounds)
        counts = ", ".join(f"{n}: {made.count(n)}" for n in sorted(set(made), key=str))
        yield f"{kind}, {1e3 * args.deadline:g} ms, iterations {counts}", times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scales", nargs="+", default=["laptop", "size5"])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--threads", type=int, help="default: as mppi_zoo.load chooses them")
    parser.add_argument("--deadline", type=float, help="seconds")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--onnx", action=argparse.BooleanOptionalAction, default=True)
    args = parser.parse_args()
    rows = []
    for scale in args.scales:
        measured = latencies if args.deadline is None else under_deadline
        for name, times in measured(scale, args):
            p50, p99 = np.percentile(times, [50, 99])
            rows.append([f"{scale}, {name}", f"{p50:.2f}", f"{p99:.2f}"])
            print(*rows[-1], flush=True)
    print(machine.table(["", "p50 ms", "p99 ms"], rows))


if __name__ == "__main__":
    main()
