"""A run's speed: measured before it begins and while it goes on."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from mppi_zoo.agent.execution import Execution
from mppi_zoo.compute import transfer
from mppi_zoo.compute.cuda_graphs import WARM_UP
from mppi_zoo.core.types import Batch, Gaussian

MEASURED_STATES = 8  # of a batch that is planned


class Sizes(NamedTuple):
    """What a run asks of its agent at once.

    Attributes:
        num_envs: states in a plan.
        batch_size: windows in an update.
        reanalysed: states planned anew together, 0 for none.
        interval: updates from one re-analysis to the next.
        evaluated: episodes of an evaluation, 0 for none.
        estimated: whether their plan is not timed, but taken to last as many times longer as it
            is for more states.
    """

    num_envs: int
    batch_size: int
    reanalysed: int = 0
    interval: int = 1
    evaluated: int = 0
    estimated: bool = False


class Speed(NamedTuple):
    """Seconds of each part.

    Attributes:
        plan: a plan for all environments.
        update: an update with its share of re-analysis.
        evaluation: a plan for all episodes of an evaluation.
    """

    plan: float
    update: float
    evaluation: float = 0.0

    def steps_per_second(self, num_envs: int, updates_per_step: float) -> float:
        """Agent steps/s, the environments' own time left out."""
        return num_envs / (self.plan + num_envs * updates_per_step * self.update)


def _fastest(call: Callable[[], object], device: torch.device, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        transfer.wait_for(device)
        times.append(time.perf_counter() - begun)
    return min(times)


def measure(
    execution: Execution, sizes: Sizes, *, plans: bool = True, updates: bool = True
) -> Speed:
    """Time plans and an update on random numbers; the agent is left as it was.

    Args:
        execution: may be compiled or recorded; the first calls then do that, at all sizes.
        plans, updates: whether the environments' plan and the update are timed, or count 0.
    """
    agent = execution.agent
    spec, device, dtype = agent.spec, agent.device, agent.dtype
    generator = torch.Generator(device).manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, device=device, dtype=dtype)

    window, windows = agent.planner.horizon, sizes.batch_size
    action = normal(window, windows, spec.action_dim).tanh()
    reward = normal(window, windows)
    plan_std = action.new_ones(window + 1, *action.shape[1:])
    batch = Batch(
        obs=normal(window + 1, windows, spec.obs_dim),
        action=action,
        reward=reward,
        terminated=torch.zeros_like(reward),
        plan=Gaussian(torch.zeros_like(plan_std), plan_std),
        planned=torch.ones_like(plan_std[..., 0], dtype=torch.bool),
        index=torch.zeros_like(reward, dtype=torch.int64),
        episode_return=reward[0],
    )
    repeats = 2 + (WARM_UP + 1 if execution.records else 0)
    eager = device.type == "cpu" and not execution.compiled

    def seconds(call: Callable[[], object]) -> float:
        return _fastest(call, device, repeats)

    def planned(call: Callable[..., object], states: int) -> float:
        # eager plans on a CPU take twice as long for twice as many states
        part = min(states, MEASURED_STATES) if eager else states
        obs = normal(part, spec.obs_dim)
        return states / part * seconds(lambda: call(obs, agent.draw_plan_noise(part, generator)))

    before = copy.deepcopy(agent.state_dict())
    try:
        plan = planned(execution.act, sizes.num_envs) if plans else 0.0
        update = 0.0
        if updates:
            update = seconds(
                lambda: execution.update(batch, 0, agent.draw_update_noise(batch, generator))
            )
        if updates and sizes.reanalysed:
            update += planned(execution.replan, sizes.reanalysed) / sizes.interval
        evaluation = plan * sizes.evaluated / sizes.num_envs
        if sizes.evaluated and not sizes.estimated:
            evaluation = planned(execution.act, sizes.evaluated)
    finally:
        agent.load_state_dict(before)
    return Speed(plan, update, evaluation)


class Stopwatch:
    """Seconds spent in each part of the loop since the last record."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.steps = 0
        self.begun = time.perf_counter()

    def add(self, part: str, since: float) -> float:
        """Count the time since a moment to a part; returns the present moment."""
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - since
        self.counts[part] = self.counts.get(part, 0) + 1
        return now

    def pause(self, since: float) -> None:
        """Leave the time since a moment out of the speed."""
        self.begun += time.perf_counter() - since

    def lap(self) -> dict[str, float]:
        """Milliseconds a call by part, and agent steps/s; start anew."""
        elapsed = time.perf_counter() - self.begun
        timings = {f"{p}_ms": 1e3 * s / self.counts[p] for p, s in self.seconds.items()}
        timings["steps_per_second"] = self.steps / elapsed
        self.__init__()
        return timings
