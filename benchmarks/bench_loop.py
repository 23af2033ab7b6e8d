"""The whole training loop on a task at laptop scale: agent steps/s and where a step's time goes."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import pandas as pd
import torch

from benchmarks import machine
from mppi_zoo.cli import main as run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="dmc:walker-walk")
    parser.add_argument("--members", nargs="+", default=["tdmpc2_equiv"])
    parser.add_argument("--scale", default="laptop")
    parser.add_argument("--steps", type=int, default=600, help="steps after the seed phase")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(machine.describe(args.threads) + (", compiled" if args.compile else ", eager"))
    seed_steps = 300
    rows = []
    for member in args.members:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            arguments = ["--gin", member, "--gin", f"scale/{args.scale}", "--task", args.task]
            arguments += ["--steps", str(seed_steps + args.steps), "--out", str(out), "--quiet"]
            arguments += ["--param", f"seed_steps={seed_steps}", "--param", "eval_every=0"]
            arguments += ["--param", "TrainingOptions.log_every=100", "--device", "cpu"]
            if run.main([*arguments, *(["--compile"] if args.compile else [])]):
                raise SystemExit("the run failed")
            timing = pd.read_csv(out / "timing.csv")
        for metric, group in timing.groupby("metric"):
            values = group["value"].iloc[1:]  # the first hundred steps warm up
            rows.append([f"{member} {metric}", f"{values.median():.2f}", f"{values.max():.2f}"])
    print(machine.table(["", "median", "largest"], rows))


if __name__ == "__main__":
    main()
