"""The whole training loop on a task at laptop scale: agent steps/s and where a step's time goes."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from mppi_zoo.compute.threads import wait_passively

wait_passively()  # before torch is imported, as in a run

import pandas as pd  # noqa: E402

from benchmarks import machine  # noqa: E402
from benchmarks.machine import busy  # noqa: E402
from mppi_zoo.cli import main as run  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="dmc:walker-walk")
    parser.add_argument("--members", nargs="+", default=["tdmpc2_equiv"])
    parser.add_argument("--scale", default="laptop")
    parser.add_argument("--steps", type=int, default=600, help="steps after the seed phase")
    parser.add_argument("--threads", type=int, help="default: as a run chooses them")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--busy", type=int, default=0, help="endless loops beside it")
    args = parser.parse_args()
    seed_steps = 300
    rows = []
    for member in args.members:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            arguments = ["--gin", member, "--gin", f"scale/{args.scale}", "--task", args.task]
            arguments += ["--steps", str(seed_steps + args.steps), "--out", str(out), "--quiet"]
            arguments += ["--param", f"seed_steps={seed_steps}", "--param", "eval_every=0"]
            arguments += ["--param", "TrainingOptions.log_every=100", "--device", "cpu"]
            arguments += ["--compile" if args.compile else "--no-compile"]
            arguments += ["--threads", str(args.threads)] if args.threads else []
            with busy(args.busy):
                if run.main(arguments):
                    raise SystemExit("the run failed")
            threads = json.loads((out / "run.json").read_text())["options"]["threads"]
            print(f"{member}: {machine.describe(threads)}, {args.busy} other program(s), "
                  f"{'compiled' if args.compile else 'eager'}")  # fmt: skip
            timing = pd.read_csv(out / "timing.csv")
        for metric, group in timing.groupby("metric"):
            values = group["value"].iloc[1:]  # the first hundred steps warm up
            rows.append([f"{member} {metric}", f"{values.median():.2f}", f"{values.max():.2f}"])
    print(machine.table(["", "median", "largest"], rows))


if __name__ == "__main__":
    main()
