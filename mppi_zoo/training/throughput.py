"""A run's speed: forecast before it begins, measured while it goes on."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from mppi_zoo.agent.execution import Execution
from mppi_zoo.compute.cuda_graphs import WARM_UP
from mppi_zoo.core.types import Batch, Gaussian
from mppi_zoo.training.options import TrainingOptions

DAY = 86_400.0


class Speed(NamedTuple):
    """Seconds of one plan for all environments, and of one update with its re-analysis."""

    plan: float
    update: float

    def steps_per_second(self, num_envs: int, updates_per_step: float) -> float:
        """Agent steps/s, the environments' own time left out."""
        return num_envs / (self.plan + num_envs * updates_per_step * self.update)


def _fastest(call: Callable[[], object], device: torch.device, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - begun)
    return min(times)


def measure(
    execution: Execution, num_envs: int, batch_size: int, states_per_update: float = 0.0
) -> Speed:
    """Time a plan and an update on random numbers; the agent is left as it was.

    Args:
        execution: may be compiled or recorded; the first calls then do that.
        num_envs: states in a plan.
        batch_size: windows in an update.
        states_per_update: states re-analysed for each update, reckoned at the plan's pace.
    """
    agent = execution.agent
    spec, device, dtype = agent.spec, agent.device, agent.dtype
    generator = torch.Generator(device).manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, device=device, dtype=dtype)

    window = agent.planner.horizon
    action = normal(window, batch_size, spec.action_dim).tanh()
    reward = normal(window, batch_size)
    batch = Batch(
        obs=normal(window + 1, batch_size, spec.obs_dim),
        action=action,
        reward=reward,
        terminated=torch.zeros_like(reward),
        plan=Gaussian(torch.zeros_like(action), torch.ones_like(action)),
        planned=torch.ones_like(reward, dtype=torch.bool),
        index=torch.zeros_like(reward, dtype=torch.int64),
    )
    obs = normal(num_envs, spec.obs_dim)
    repeats = 2 + (WARM_UP + 1 if execution.records else 0)
    before = copy.deepcopy(agent.state_dict())
    try:
        plan = _fastest(
            lambda: execution.act(obs, agent.draw_plan_noise(num_envs, generator)), device, repeats
        )
        update = _fastest(
            lambda: execution.update(batch, 0, agent.draw_update_noise(batch, generator)),
            device,
            repeats,
        )
    finally:
        agent.load_state_dict(before)
    return Speed(plan, update + states_per_update * plan / num_envs)


def forecast(speed: Speed, options: TrainingOptions, num_envs: int, seed_steps: int) -> str:
    """A line on how long the run will take; names the laptop scale where that is days."""
    rate = speed.steps_per_second(num_envs, options.updates_per_step)
    training = max(options.steps - seed_steps, 0) / rate
    pretraining = seed_steps * options.updates_per_step * speed.update
    seconds = training + pretraining
    line = (
        f"measured: plan {1e3 * speed.plan:.0f} ms, update {1e3 * speed.update:.0f} ms, about "
        f"{rate:.1f} agent steps/s: {options.steps:,} steps take about {_duration(seconds)}, "
        "evaluations and environments left out"
    )
    if seconds > DAY:
        line += (
            "\nThis is the size that the configuration asks for, meant for a GPU. On this machine "
            "try the laptop scale: add --gin scale/laptop"
        )
    return line


def _duration(seconds: float) -> str:
    if seconds > 2 * DAY:
        return f"{seconds / DAY:.1f} days"
    if seconds > 7200:
        return f"{seconds / 3600:.1f} hours"
    if seconds > 90:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds:.0f} seconds"


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
