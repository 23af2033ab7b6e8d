"""Makes the launcher that the command line asks for: on this machine, or on Slurm."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from mppi_zoo.study import slurm
from mppi_zoo.study.command_line import words
from mppi_zoo.study.grid import RunPlan, Study
from mppi_zoo.study.job import is_alive
from mppi_zoo.study.local import LocalLauncher, rooms

# Option of the command line -> submitit's parameter.
SLURM = {
    "partition": "slurm_partition",
    "time": "timeout_min",
    "gpus": "gpus_per_node",
    "memory": "mem_gb",
    "at_once": "slurm_array_parallelism",
    "signal_delay": "slurm_signal_delay_s",
}


def launcher(
    args: argparse.Namespace, folder: Path, study: Study, runs: Sequence[RunPlan]
) -> LocalLauncher | slurm.SlurmLauncher:
    """The launcher of a study, for this machine or for Slurm.

    Raises:
        ValueError: an option has a value that the launcher cannot use.
    """
    if args.retries < 0:
        raise ValueError(f"--retries {args.retries}: expected 0 or more")
    if args.slurm:
        if study.search is not None:
            raise ValueError(
                "--slurm: a search asks for trials and prunes them while it runs, so it stays with "
                "its runs: start it without --slurm within one allocation (sbatch or salloc), with "
                "--parallel runs at a time; or list the values under grid"
            )
        parameters = {
            parameter: value
            for option, parameter in SLURM.items()
            if (value := getattr(args, option)) is not None
        }
        if args.time is None:
            raise ValueError("--time MINUTES is missing: without it submitit asks for 5 minutes")
        if args.signal_delay >= 60 * args.time:
            raise ValueError(
                f"--signal-delay {args.signal_delay}: expected fewer seconds than the {args.time} "
                "minutes of --time, else runs are stopped as soon as they begin"
            )
        # On clusters with JobRequeue=0 a pre-empted job is requeued only if it asks for it.
        more = {"requeue": True, **dict(_key_value(text) for text in args.sbatch)}
        parameters["slurm_additional_parameters"] = more
        return slurm.SlurmLauncher(
            folder,
            runs,
            threads=study.threads,
            retries=args.retries,
            runs_per_job=args.runs_per_job,
            parameters=parameters,
            force=args.force,
        )
    return LocalLauncher(
        folder,
        runs,
        rooms(args.parallel, _gpus(args.gpus_used, study), args.runs_per_gpu),
        threads=study.threads,
        retries=args.retries,
        force=args.force,
        segment_minutes=args.segment_minutes,
    )


def _gpus(given: str | None, study: Study) -> list[str]:
    if given is not None:
        return [] if given == "none" else words(given)
    if "--device=cpu" in study.arguments or not torch.cuda.is_available():
        return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return words(visible) if visible else [str(i) for i in range(torch.cuda.device_count())]


def _key_value(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--sbatch {text}: expected KEY=VALUE, such as account=robots")
    return key.lstrip("-").replace("-", "_"), value


def alive(study: Path) -> Callable[[str], bool]:
    """A function that tells whether a job, named as in the journal, is pending or running.

    It asks Slurm once for all jobs, and raises ValueError if a run was submitted to Slurm but Slurm
    does not answer here.
    """
    queued: list[frozenset[str]] = []

    def answer(job: str) -> bool:
        if not job.startswith("slurm:"):
            return is_alive(job, study)
        if not queued:
            queued.append(slurm.queue())
        return job in queued[0]

    return answer
