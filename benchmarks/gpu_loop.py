"""The whole training loop on a device: agent steps/s, and what waits."""

from __future__ import annotations

import contextlib
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks import bench_parts
from benchmarks.gpu_parts import EAGER, MEMBER, Version, reference_on
from benchmarks.gpu_rows import Settings, record, synchronise, tried
from mppi_zoo.compute.cuda_graphs import WARM_UP
from mppi_zoo.config import gin_config as config
from mppi_zoo.core.types import Batch
from mppi_zoo.envs import EpisodeVector
from mppi_zoo.runs.metrics import MetricsLogger
from mppi_zoo.runs.progress import Progress
from mppi_zoo.training.replay import Replay
from mppi_zoo.training.trainer import Trainer

SEED_STEPS = 300
FALLBACKS = ("gym:HalfCheetah-v5", "toy:point")  # where the task's package is missing


def task_of(settings: Settings, section: str) -> str:
    """The task asked for, or the next one that is there."""
    for task in (settings.task, *FALLBACKS):
        try:
            with EpisodeVector(task, 1, 1, "training"):
                return task
        except (ImportError, ValueError, OSError) as error:
            settings.skipped(section, task, str(error).splitlines()[0][:150])
    raise RuntimeError("no task can be made")


@contextlib.contextmanager
def trainer(settings: Settings, task: str, version: Version, section: str) -> Iterator[Trainer]:
    """A training past its seed phase, with every graph recorded and everything compiled."""
    seed = [config.set_macro("seed_steps", SEED_STEPS), config.set_macro("task", task)]
    experiment = config.parse([MEMBER, settings.scales[0]], [*version.bindings, *seed])
    with (
        EpisodeVector(task, 1, 1, "training", experiment.env) as envs,
        tempfile.TemporaryDirectory() as folder,
        MetricsLogger(Path(folder), tensorboard=False) as logger,
    ):
        agent = experiment.agent(envs.spec, device=settings.device)
        execution = experiment.execution(agent)
        if version.compiled:
            execution.compile()
        if version.graphs:
            record(execution, settings, section)
        horizon, device = agent.planner.horizon, settings.device
        run = Trainer(
            execution,
            envs,
            None,
            Replay(envs.spec, 100_000, horizon, device=device, batch_device=device),
            experiment.reanalysis,
            experiment.training,
            1,
            logger,
            Progress(1, quiet=True),
            Path(folder),
        )
        run.obs = envs.reset()
        while not run.state.pretraining_left:
            run.explore()
        for _ in range(WARM_UP + 2):
            run.pretrain()
        run.state.pretraining_left = 0
        for _ in range(WARM_UP + 2):
            run.advance()
        synchronise(device)
        yield run


def loop(settings: Settings, versions: tuple[Version, ...]) -> None:
    """Agent steps/s of ours, each step with its update."""
    section, task = "loop", task_of(settings, "loop")
    for version in versions:
        if version.graphs and not settings.cuda:
            continue

        def measure(version: Version = version) -> None:
            with trainer(settings, task, version, section) as run:
                begun = time.perf_counter()
                for _ in range(settings.steps):
                    run.advance()
                synchronise(settings.device)
                rate = settings.steps / (time.perf_counter() - begun)
            settings.add(section, task, version.name, rate, "agent steps/s")

        tried(settings, section, f"{task}, {version.name}", measure)


def reference_loop(settings: Settings, compiled: bool) -> None:
    """Agent steps/s with the reference's plan and update in place of ours, all else the same."""
    section, task = "loop", task_of(settings, "loop")
    name = f"reference {'compiled' if compiled else 'eager'}"

    def measure() -> None:
        with trainer(settings, task, EAGER, section) as run:
            program = reference_on(run.agent, sampled(run), settings.device, compiled)
            rate, mean = 0.0, None
            for steps in (WARM_UP + 2, settings.steps):  # the first ones warm up
                begun = time.perf_counter()
                for _ in range(steps):
                    assert run.obs is not None
                    plan = program.plan(run.agent.tensor(run.obs[0]), mean)
                    mean = plan.mean.clone()
                    run._take(plan.action.cpu().numpy().reshape(1, -1), None)
                    program.update(bench_parts.named(sampled(run)))
                synchronise(settings.device)
                rate = steps / (time.perf_counter() - begun)
        settings.add(section, task, name, rate, "agent steps/s")

    tried(settings, section, f"{task}, {name}", measure)


def sampled(run: Trainer) -> Batch:
    """A batch of the training's replay."""
    return run.replay.sample(run.options.batch_size, run.generators.replay)


def waits(settings: Settings, version: Version) -> None:
    """What an environment step with its update makes the host wait for, and what it launches."""
    section, task = "waits", task_of(settings, "waits")
    steps = 20 if settings.cuda else 2
    with trainer(settings, task, version, section) as run:
        if settings.cuda:  # torch's own watch over what synchronises
            torch.cuda.set_sync_debug_mode("warn")
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                for _ in range(steps):
                    run.advance()
            torch.cuda.set_sync_debug_mode("default")
            count = sum("synchronizing" in str(warning.message) for warning in caught) / steps
            settings.add(section, "torch's sync debug mode", version.name, count, "a step")
        kinds = [torch.profiler.ProfilerActivity.CPU]
        kinds += [torch.profiler.ProfilerActivity.CUDA] if settings.cuda else []
        with torch.profiler.profile(activities=kinds) as profile:
            for _ in range(steps):
                run.advance()
            synchronise(settings.device)
    events = Counter(event.name for event in profile.events() or [])
    watched = ("Synchronize", "cudaMemcpy", "Memcpy", "cudaGraphLaunch", "cudaLaunchKernel")
    for name, times in sorted(events.items()):
        if any(part in name for part in watched):
            settings.add(section, name, version.name, times / steps, "a step")
    settings.add(section, "all events", version.name, sum(events.values()) / steps, "a step")
    if settings.trace is not None:
        folder, stem = Path(settings.trace), version.name.replace(", ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        profile.export_chrome_trace(str(folder / f"{stem}.json.gz"))
        sort = "self_cuda_time_total" if settings.cuda else "self_cpu_time_total"
        table = profile.key_averages().table(sort_by=sort, row_limit=40)
        (folder / f"{stem}.txt").write_text(table)
