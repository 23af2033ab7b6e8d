"""Speed on a GPU in one call: a short table last, JSON beside it.

    python -m benchmarks.gpu --out gpu.json --trace traces --released CLONE_OF_TDMPC2
    python -m benchmarks.gpu --small      # on a CPU, whether everything runs

The sections run one after another, in order of importance, on a GPU each in a process of its own.
When the budget is spent, what is left is dropped, and the table says so. See docs/gpu.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import machine
from benchmarks.gpu_rows import Settings
from benchmarks.gpu_sections import SECTIONS

ROOT = Path(__file__).resolve().parent.parent
LEAST = 15.0  # seconds under which no section is begun


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--budget", type=float, default=520.0, help="seconds for everything")
    p.add_argument("--out", type=Path, help="JSON file for all figures")
    p.add_argument("--trace", type=Path, help="folder for the profiler's traces and tables")
    p.add_argument("--released", type=Path, help="a clone of the released TD-MPC2")
    p.add_argument("--scales", nargs="+", default=["size5", "size1", "size48"])
    p.add_argument("--states", nargs="+", type=int, default=[1, 16, 64])
    p.add_argument("--processes", nargs="+", type=int, default=[1, 4, 8, 16])
    p.add_argument("--seconds", type=float, default=2.0, help="timing of a case")
    p.add_argument("--steps", type=int, default=500, help="agent steps of a timed loop")
    p.add_argument("--task", default="dmc:walker-walk")
    p.add_argument("--sections", nargs="+", default=list(SECTIONS), choices=list(SECTIONS))
    p.add_argument("--small", action="store_true", help="tiny, and nothing that compiles")
    return p


def settings_of(args: argparse.Namespace, rows: str) -> Settings:
    """What the sections get."""
    shared = Path(os.environ.get("MPPI_ZOO_SHARED", ROOT.parent / "shared"))
    optional = {
        "released": None if args.released is None else str(args.released.resolve()),
        "goldens": str(shared / "goldens" / "algorithms"),
        "trace": None if args.trace is None else str(args.trace.resolve()),
    }
    scales = tuple(f"scale/{name}" for name in args.scales)
    sizes: dict[str, Any] = {
        "scales": ("debug",) if args.small else scales,
        "states": (1, 2) if args.small else tuple(args.states),
        "seconds": 0.02 if args.small else args.seconds,
        "steps": 5 if args.small else args.steps,
        "processes": (1, 2) if args.small else tuple(args.processes),
        "task": "toy:point" if args.small else args.task,
    }
    return Settings(device=args.device, rows=rows, **sizes, **optional)


def run_section(name: str, settings: Settings, left: float) -> None:
    """One section, in a process of its own on a GPU, whose state and faults must not spread."""
    section = SECTIONS[name]
    if not settings.cuda:
        section.run(settings)
        return
    command = [sys.executable, "-m", "benchmarks.gpu_sections", name, settings.to_json()]
    limit = min(section.most, left)
    try:
        done = subprocess.run(command, timeout=limit, cwd=ROOT)
    except subprocess.TimeoutExpired:
        settings.skipped(name, "the rest", f"cut short after {limit:.0f} s")
        return
    if done.returncode:
        settings.skipped(name, "the rest", f"ended with code {done.returncode}")


def hardware(device: str) -> str:
    """What the figures are of."""
    cpu = machine.describe(torch.get_num_threads())
    if not device.startswith("cuda"):
        return cpu
    of = torch.cuda.get_device_properties(device)
    gpu = f"{of.name} ({of.total_memory / 2**30:.0f} GiB, {of.multi_processor_count} SMs)"
    return f"{gpu}, CUDA {torch.version.cuda}; {os.cpu_count()} cores of {cpu}"


def tables(rows: list[dict[str, Any]]) -> str:
    """The figures: versions down and cases across where that is a table; the others as a list."""
    figures = [row for row in rows if not math.isnan(row["value"])]
    crossed = [r for r in figures if r["section"].startswith(("parts", "goldens"))]
    text: list[str] = []
    for section in dict.fromkeys(row["section"] for row in crossed):
        mine = [row for row in crossed if row["section"] == section]
        cases = list(dict.fromkeys(row["case"] for row in mine))
        cells = {(row["version"], row["case"]): f"{row['value']:.3g}" for row in mine}
        lines = [
            [version, *(cells.get((version, case), "") for case in cases)]
            for version in dict.fromkeys(row["version"] for row in mine)
        ]
        text.append(machine.table([f"{section} {mine[0]['unit']}".strip(), *cases], lines))
    listed = [
        [row["section"], row["case"], row["version"], f"{row['value']:.4g} {row['unit']}".strip()]
        for row in figures
        if row not in crossed
    ]
    text.append(machine.table(["", "case", "version", "figure"], listed))
    missing = [row for row in rows if math.isnan(row["value"])]
    dropped = "\n".join(f"{r['section']}, {r['case']}: {r['version']}" for r in missing)
    return "\n\n".join([*text, *([dropped] if dropped else [])])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sections; returns the exit code."""
    begun = time.perf_counter()
    args = parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows"
        file.touch()
        settings = settings_of(args, str(file))
        for name in args.sections:
            left = args.budget - (time.perf_counter() - begun)
            if args.small and SECTIONS[name].compiles:
                settings.skipped(name, "all", "compiling takes minutes on a CPU")
            elif left < LEAST:
                settings.skipped(name, "all", f"the budget of {args.budget:.0f} s is spent")
            else:
                run_section(name, settings, left)
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    where = hardware(args.device)
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        content = {"hardware": where, "settings": vars(args), "rows": rows}
        args.out.write_text(json.dumps(content, default=str, indent=1), encoding="utf-8")
    print(f"\n{where}; {time.perf_counter() - begun:.0f} s\n\n{tables(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
