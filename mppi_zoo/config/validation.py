"""A configuration checked whole, before anything is written."""

from __future__ import annotations

from mppi_zoo.compute.memory import available
from mppi_zoo.config.gin_config import Experiment
from mppi_zoo.envs import EpisodeVector
from mppi_zoo.planning.base import Planner
from mppi_zoo.training.replay import replay_bytes

GIB = 2**30


def check(
    experiment: Experiment, planner: Planner, envs: EpisodeVector, *, replay_on_host: bool
) -> None:
    """Whether the sizes fit together and the machine.

    Elites against samples, lambda and the device are checked by the planner, the KL weight and the
    command line.

    Raises:
        ValueError: naming the sizes and the macros to change.
    """
    options, horizon, spec = experiment.training, planner.horizon, envs.spec
    seed_steps = options.shortest_seed_phase(spec.episode_length)
    if horizon > spec.episode_length:
        raise ValueError(
            f"MPPIPlanner.horizon = {horizon} is longer than an episode of {experiment.task} "
            f"({spec.episode_length} agent steps); lower the macro horizon"
        )
    if seed_steps // envs.num_envs <= horizon:
        raise ValueError(
            f"the seed phase of {seed_steps} steps in {envs.num_envs} environments holds no window "
            f"of {horizon + 1} observations; raise the macro seed_steps above "
            f"{(horizon + 1) * envs.num_envs}"
        )
    if seed_steps < options.batch_size:
        raise ValueError(
            f"batch_size = {options.batch_size} windows are more than the seed phase of "
            f"{seed_steps} steps collects before the first update; raise the macro seed_steps, or "
            "lower batch_size"
        )
    if options.steps < seed_steps:
        raise ValueError(
            f"steps = {options.steps} ends within the seed phase of {seed_steps} random steps; "
            f"raise --steps above it, or lower it: --param seed_steps={max(options.steps // 2, 1)}"
        )
    rows = replay_rows(experiment, horizon, envs.num_envs)
    needed, free = replay_bytes(spec, rows), available()
    if replay_on_host and needed > free:
        raise ValueError(
            f"the replay of {rows:,} rows needs {needed / GIB:.1f} GiB of memory, and "
            f"{free / GIB:.1f} GiB are free; lower the macro replay_capacity, or ask for more"
        )


def replay_rows(experiment: Experiment, horizon: int, num_envs: int) -> int:
    """Rows to reserve: no more than the run can fill."""
    options = experiment.training
    # a step that ends its episode takes a row for the last observation, and those past the end
    rows = 2 + experiment.past_the_end.steps(horizon)
    return min(options.replay_capacity, rows * options.steps + num_envs)
