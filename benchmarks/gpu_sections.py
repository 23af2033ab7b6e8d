"""The sections of :mod:`benchmarks.gpu`, each run as a process: ``SECTION SETTINGS`` as JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks import gpu_loop, gpu_parts, gpu_sharing
from benchmarks.gpu_parts import COMPILED, EAGER, GRAPHS, QUICK
from benchmarks.gpu_rows import Settings, tried


class Section(NamedTuple):
    """A part of the benchmark."""

    run: Callable[[Settings], None]
    most: float  # seconds on a GPU after which it is cut short
    compiles: bool = False  # which takes minutes on a CPU


def goldens(settings: Settings) -> None:
    """Errors of the recorded numbers on the device, TF32 off and on, bfloat16."""
    if settings.goldens is None or not Path(settings.goldens).is_dir():
        settings.skipped("goldens", "all", f"no folder {settings.goldens}: set MPPI_ZOO_SHARED")
        return
    os.environ["MPPI_ZOO_DEVICE"] = settings.device  # before the tests' helpers are imported
    from benchmarks import golden_errors

    for name, *cells in golden_errors.rows(Path(settings.goldens), settings.device):
        for what, cell in zip(golden_errors.HEADER[1:], cells, strict=True):
            if cell[:1].isdigit():
                settings.add("goldens", what, name, float(cell), "")


def exact(settings: Settings) -> None:
    """Whether graphs give eager's numbers: the largest differences after some updates."""
    section, scale = "exact", settings.scales[0]
    if not settings.cuda:
        settings.skipped(
            section, "graphs", "a CPU has none; tests/compute/test_cuda_graphs.py stands in"
        )
        return

    def measure() -> None:
        executions = []
        for version in (EAGER, GRAPHS):
            torch.manual_seed(0)
            executions.append(gpu_parts.build(scale, settings, version, section))
        torch.manual_seed(0)
        batch = gpu_parts.batch_of(executions[0].agent, scale)
        found = []
        for execution in executions:
            plan, update = (
                gpu_parts.plan_call(execution, 1),
                gpu_parts.update_call(execution, batch),
            )
            for _ in range(8):
                update()
                action = plan()
            found.append((action, [p.detach() for p in execution.agent.world_model.parameters()]))
        (one, before), (two, after) = found
        difference = max(float((a - b).abs().max()) for a, b in zip(before, after, strict=True))
        settings.add(section, "parameters after 8 updates", "graphs - eager", difference, "")
        settings.add(section, "action", "graphs - eager", float((one - two).abs().max()), "")

    tried(settings, section, "graphs", measure)


def other_sizes(settings: Settings) -> None:
    """Plan and update at the other sizes."""
    for scale in settings.scales[1:]:
        gpu_parts.ours(settings, scale, (EAGER, *QUICK[:2]), many=True)


def theirs(settings: Settings, compiled: bool) -> None:
    """References and the released program."""
    gpu_parts.theirs(settings, settings.scales[0], compiled)
    gpu_loop.reference_loop(settings, compiled)


SECTIONS = {
    "goldens": Section(goldens, 90),
    "exact": Section(exact, 45),
    "parts": Section(lambda s: gpu_parts.ours(s, s.scales[0], (EAGER, *QUICK), True), 100),
    "loop": Section(lambda s: gpu_loop.loop(s, (EAGER, *QUICK[:2])), 90),
    "waits": Section(lambda s: gpu_loop.waits(s, GRAPHS if s.cuda else EAGER), 60),
    "sharing": Section(gpu_sharing.sharing, 120),
    "theirs": Section(lambda s: theirs(s, False), 60),
    "sizes": Section(other_sizes, 60),
    "compiled": Section(lambda s: gpu_parts.ours(s, s.scales[0], COMPILED[:2], False), 150, True),
    "compiled loop": Section(lambda s: gpu_loop.loop(s, COMPILED[:2]), 120, True),
    "theirs compiled": Section(lambda s: theirs(s, True), 150, True),
}


def main() -> None:
    name, settings = sys.argv[1], Settings.from_json(sys.argv[2])
    if name == "worker":
        gpu_sharing.worker(settings)
    else:
        SECTIONS[name].run(settings)


if __name__ == "__main__":
    main()
