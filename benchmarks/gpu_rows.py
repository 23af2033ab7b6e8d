"""What the sections of :mod:`benchmarks.gpu` share: settings, rows of figures, timing."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import Call
from mppi_zoo.agent.execution import Execution
from mppi_zoo.compute.cuda_graphs import WARM_UP, CudaRecorder


@dataclass(frozen=True)
class Settings:
    """Of one call of the benchmark, for all sections.

    Attributes:
        rows: file that figures are appended to, a JSON object a line.
        scales: gin files of sizes, the published one first.
        states: sizes of a batch of plans.
        seconds: timing of one case, after its warm-up.
        steps: agent steps of a whole loop that are timed.
        processes: runs that share the device.
        released: a clone of the released TD-MPC2, or none.
        goldens: the recorded numbers, or none.
        trace: folder for the profiler's trace, or none.
    """

    device: str
    rows: str
    scales: tuple[str, ...]
    states: tuple[int, ...]
    seconds: float
    steps: int
    processes: tuple[int, ...]
    task: str
    released: str | None = None
    goldens: str | None = None
    trace: str | None = None

    @property
    def cuda(self) -> bool:
        return self.device.startswith("cuda")

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        fields: dict[str, Any] = json.loads(text)
        for name in ("scales", "states", "processes"):
            fields[name] = tuple(fields[name])
        return cls(**fields)

    def add(self, section: str, case: str, version: str, value: float, unit: str) -> None:
        """Write a figure at once: a section that is cut short leaves what it has measured."""
        row = {"section": section, "case": case, "version": version, "value": value, "unit": unit}
        with Path(self.rows).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(f"[{section}] {case}, {version}: {value:.4g} {unit}", flush=True)

    def skipped(self, section: str, case: str, reason: str) -> None:
        """Say what was left out, and why."""
        self.add(section, case, f"left out: {reason}", float("nan"), "")


def synchronise(device: str) -> None:
    """Wait until the device has nothing to do."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def median_ms(call: Call, device: str, seconds: float) -> float:
    """Median milliseconds of a call until the device is done, after enough calls for graphs."""
    for _ in range(WARM_UP + 2):
        call()
    synchronise(device)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or (time.perf_counter() < end and len(times) < 1000):
        begun = time.perf_counter()
        call()
        synchronise(device)
        times.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(times)


def tried(settings: Settings, section: str, case: str, measure: Callable[[], None]) -> bool:
    """Whether a case could be measured; why not goes to the rows, and the others go on."""
    try:
        measure()
    except Exception as error:  # compilers, drivers and programs of others fail in many ways
        lines = str(error).strip().splitlines()
        settings.skipped(section, case, f"{type(error).__name__}: {(lines or [''])[0][:150]}")
        return False
    return True


def record(execution: Execution, settings: Settings, section: str) -> None:
    """CUDA graphs from now on; what cannot be recorded is told in the rows."""
    if settings.cuda:
        recorder = CudaRecorder(torch.device(settings.device))
        execution.record(recorder, lambda text: settings.skipped(section, "graphs", text))
