"""Plan and update in milliseconds: ours as each setting has them, the references, the released."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks import bench_parts, released
from benchmarks.gpu_rows import Settings, median_ms, record, tried
from benchmarks.machine import Call
from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.config import gin_config as config
from mppi_zoo.core.types import Batch, EnvSpec

SPEC = EnvSpec(24, 6, 500)  # walker-walk
MEMBER = "tdmpc2_equiv"
TF32 = "Execution.matmul_precision=@TF32Matmul()"
BFLOAT16 = "Execution.planning_precision=@BFloat16Hidden"


class Version(NamedTuple):
    """A way to run the agent."""

    name: str
    bindings: tuple[str, ...] = ()
    compiled: bool = False
    graphs: bool = False


EAGER = Version("eager")
GRAPHS = Version("graphs", graphs=True)
QUICK = (
    GRAPHS,
    Version("graphs, TF32", (TF32,), graphs=True),
    Version("graphs, TF32, bfloat16 plans", (TF32, BFLOAT16), graphs=True),
    Version("graphs, bfloat16 plans", (BFLOAT16,), graphs=True),
)
COMPILED = (
    Version("compiled, graphs", compiled=True, graphs=True),
    Version("compiled, graphs, TF32", (TF32,), compiled=True, graphs=True),
    Version("compiled", compiled=True),
)


def build(scale: str, settings: Settings, version: Version, section: str) -> Execution:
    """An agent of that size, run in that way."""
    experiment = config.parse([MEMBER, scale], list(version.bindings))
    execution = experiment.execution(experiment.agent(SPEC, device=settings.device))
    if version.compiled:
        execution.compile()
    if version.graphs:
        record(execution, settings, section)
    return execution


def batch_of(agent: POMPCAgent, scale: str) -> Batch:
    """A batch as an update gets it."""
    size = config.parse([MEMBER, scale]).training.batch_size
    replay = bench_parts.filled_replay(SPEC, 600, agent.planner.horizon, agent.device)
    return replay.sample(size, np.random.default_rng(0))


def plan_call(execution: Execution, states: int) -> Call:
    """Plans for so many states, with draws and the transfer that ends an environment step."""
    agent = execution.agent
    draws = torch.Generator(agent.device).manual_seed(0)
    obs = torch.randn(states, SPEC.obs_dim, device=agent.device)
    warm = torch.zeros(agent.planner.horizon, states, SPEC.action_dim, device=agent.device)
    return lambda: execution.act(
        obs, agent.draw_plan_noise(states, draws), warm_start=warm
    ).action.cpu()


def update_call(execution: Execution, batch: Batch) -> Call:
    """An update with its draws."""
    agent = execution.agent
    draws = torch.Generator(agent.device).manual_seed(0)
    return lambda: execution.update(batch, 0, agent.draw_update_noise(batch, draws))


def ours(settings: Settings, scale: str, versions: tuple[Version, ...], many: bool) -> None:
    """The agent in each way; ``many``: plans for all sizes of a batch, else for one state."""
    section = f"parts {Path(scale).name}"
    for version in versions:
        if version.graphs and not settings.cuda:
            continue

        def measure(version: Version = version) -> None:
            execution = build(scale, settings, version, section)
            for states in settings.states if many else settings.states[:1]:
                ms = median_ms(plan_call(execution, states), settings.device, settings.seconds)
                settings.add(section, f"plan, {states} state(s)", version.name, ms, "ms")
            if BFLOAT16 not in version.bindings:
                call = update_call(execution, batch_of(execution.agent, scale))
                ms = median_ms(call, settings.device, settings.seconds)
                settings.add(section, "update", version.name, ms, "ms")

        tried(settings, section, version.name, measure)


def theirs(settings: Settings, scale: str, compiled: bool) -> None:
    """The plain reference and the released program, plans for one state."""
    section = f"parts {Path(scale).name}"
    agent = build(scale, settings, EAGER, section).agent
    batch = batch_of(agent, scale)
    enc_dim = next(agent.world_model.encoder.parameters()).shape[0]
    way = "compiled" if compiled else "eager"

    def timed(name: str, calls: dict[str, Call]) -> None:
        for part, case in (("plan", "plan, 1 state(s)"), ("update", "update")):
            ms = median_ms(calls[part], settings.device, settings.seconds)
            settings.add(section, case, f"{name} {way}", ms, "ms")

    def reference() -> None:
        program = reference_on(agent, batch, settings.device, compiled)
        named, obs = bench_parts.named(batch), batch.obs[0, 0]
        plan = {"plan": lambda: program.plan(obs, None).action.cpu()}
        timed("reference", plan | {"update": lambda: program.update(named)})

    def release() -> None:
        assert settings.released is not None
        size = batch.reward.shape[1]
        clone = Path(settings.released)
        program = released.load(clone, agent, enc_dim, 2, size, settings.device, compiled)
        calls = released.cases(program, batch)
        timed("released", {n: within(c, settings.device, compiled) for n, c in calls.items()})

    tried(settings, section, f"reference {way}", reference)
    if settings.released is not None:
        tried(settings, section, f"released {way}", release)


class Reference(NamedTuple):
    """The plain reference on a device."""

    plan: Callable[..., Any]  # (obs [O], last mean [H, A] or None) -> its plan
    update: Callable[..., Any]  # (batch as it wants it)


def reference_on(agent: POMPCAgent, batch: Batch, device: str, compiled: bool) -> Reference:
    """The reference with the sizes of ours, eager or as torch.compile makes it."""
    enc_dim = next(agent.world_model.encoder.parameters()).shape[0]
    with torch.device(device):  # it knows no devices; torch's default is enough for it
        program, _ = bench_parts.reference(MEMBER, agent, enc_dim, batch)
    plan, update = program.plan, program.update
    if compiled:
        plan = torch.compile(plan, mode="reduce-overhead")
        update = torch.compile(update, mode="reduce-overhead")
    return Reference(within(plan, device, compiled), within(update, device, compiled))


def within(function: Callable[..., Any], device: str, compiled: bool) -> Callable[..., Any]:
    """A function of a program that makes its tensors on torch's default device."""

    def call(*args: Any) -> Any:
        if compiled:
            torch.compiler.cudagraph_mark_step_begin()
        with torch.device(device):
            return function(*args)

    return call
