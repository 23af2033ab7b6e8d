"""Many runs on one device: what they do together, so that a study knows how many to pack."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import replace

import torch

from benchmarks.gpu_loop import task_of, trainer
from benchmarks.gpu_parts import EAGER, GRAPHS
from benchmarks.gpu_rows import Settings, synchronise


def worker(settings: Settings) -> None:
    """One of the runs that share a device: says when it is ready, then steps when it is told."""
    torch.set_num_threads(1)
    version = GRAPHS if settings.cuda else EAGER
    with trainer(settings, settings.task, version, "sharing") as run:
        print("ready", flush=True)
        for line in sys.stdin:
            steps, end = 0, time.perf_counter() + float(line)
            while time.perf_counter() < end:
                run.advance()
                steps += 1
            synchronise(settings.device)
            used = torch.cuda.memory_reserved() / 2**20 if settings.cuda else 0.0
            print(f"steps {steps} {used}", flush=True)


def sharing(settings: Settings) -> None:
    """Agent steps/s of all of 1, 4, ... runs together, each a process with one thread."""
    section = "sharing"
    arguments = ["-m", "benchmarks.gpu_sections", "worker"]
    one_thread = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    task = task_of(settings, section)
    chosen = replace(settings, task=task)
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, *arguments, chosen.to_json()],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env={**os.environ, **one_thread},
                )
            )
            for _ in range(max(settings.processes))
        ]
        stack.callback(lambda: [w.kill() for w in workers])
        for process in workers:
            told(process, "ready")
        seconds = max(settings.seconds, 0.2)
        for count in settings.processes:
            for process in workers[:count]:
                assert process.stdin is not None
                process.stdin.write(f"{seconds}\n")
                process.stdin.flush()
            answers = [told(process, "steps") for process in workers[:count]]
            rate = sum(float(answer[0]) for answer in answers) / seconds
            settings.add(section, f"{count} process(es)", task, rate, "agent steps/s together")
            settings.add(
                section, f"{count} process(es)", "memory", float(answers[0][1]), "MiB each"
            )


def told(process: subprocess.Popen[str], word: str) -> list[str]:
    """The rest of the next line of a process that begins with the word.

    Raises:
        RuntimeError: it ended first.
    """
    assert process.stdout is not None
    for line in process.stdout:
        first, *rest = line.split() or [""]
        if first == word:
            return rest
    raise RuntimeError(f"a worker ended with code {process.wait()} before it was {word}")
