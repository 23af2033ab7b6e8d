"""Feeds the package thousands of faulty inputs, and says what it could not stand.

python tests/system/fuzz.py --inputs 5000 --flips 1000 --seed 1
python tests/system/fuzz.py --seed 1 --only flips:17       # one input again, with its traceback

Inputs: random bindings of every registered parameter; mutated gin, YAML, JSON and CSV files;
damaged checkpoints; whole short runs and resumed ones; and single bits of a run folder's files.
What must hold: every refusal has a message that was written for users, nothing takes longer than
60 s, a refusal leaves the folder's bytes as they were, an accepted value is in its declared range,
and an agent's file loads with its own parameters or not at all. The same seed gives the same
inputs.
Exit code 0 if nothing was found.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random
from types import FrameType

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[2])]  # tests/, and the package

import torch  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from system.fuzzing.targets import Found, Fuzzer  # noqa: E402

PATIENCE = 60  # s
# Kinds of inputs and their shares; whole runs take a second each.
SHARES = {
    "bindings": 50,
    "gin": 14,
    "yaml": 10,
    "json": 10,
    "csv": 8,
    "checkpoint": 7,
    "command": 1,
}


class Hang(BaseException):
    """An input took longer than ``PATIENCE``."""


def main() -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--inputs", type=int, default=5000, help="all but bit flips")
    parser.add_argument("--flips", type=int, default=1000, help="single bits turned")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--only", metavar="KIND:NUMBER", help="one input, by its name")
    args = parser.parse_args()
    torch.set_num_threads(1)
    os.fsync = lambda descriptor: None  # a process's files are there for the next one without it
    Figure.savefig = lambda *a, **k: None  # pyright: ignore
    signal.signal(signal.SIGALRM, _alarm)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        fuzzer = Fuzzer(Path(folder))
        if args.only:
            kind, _, number = args.only.partition(":")
            print(getattr(fuzzer, kind)(Random(f"{args.seed}/{kind}/{number}")))
            return 0
        return fuzz(fuzzer, plan(args.inputs, args.flips), args.seed, args.seconds)


def plan(inputs: int, flips: int) -> list[tuple[str, int]]:
    """(kind, number) of every input, the kinds mixed."""
    total = sum(SHARES.values())
    counts = {kind: max(1, inputs * share // total) for kind, share in SHARES.items()}
    counts["flips"] = flips
    cases = [((n + 0.5) / count, kind, n) for kind, count in counts.items() for n in range(count)]
    return [(kind, number) for _, kind, number in sorted(cases)]


def fuzz(fuzzer: Fuzzer, cases: list[tuple[str, int]], seed: int, seconds: float) -> int:
    """Try all inputs and print a summary; the exit code."""
    begun, outcomes, found = time.monotonic(), Counter[tuple[str, str]](), Counter[str]()
    slowest = (0.0, "")
    for kind, number in cases:
        now = time.monotonic()
        if now - begun > seconds:
            break
        outcome, why = _one(fuzzer, kind, number, seed)
        outcomes[kind, outcome] += 1
        slowest = max(slowest, (time.monotonic() - now, f"{kind}:{number}"))
        if why:
            found[why] += 1
            if found[why] == 1:
                print(f"FOUND by --seed {seed} --only {kind}:{number}\n  {why[:600]}", flush=True)
    kinds = [*SHARES, "flips"]
    print(f"{'kind':<12}{'tried':>8}{'refused':>9}{'accepted':>10}{'found':>7}")
    names = ("refused", "accepted", "found")
    for kind in kinds:
        row = [outcomes[kind, name] for name in names]
        print(f"{kind:<12}{sum(row):>8}{row[0]:>9}{row[1]:>10}{row[2]:>7}")
    tried = sum(outcomes.values())
    print(
        f"{tried} of {len(cases)} inputs in {time.monotonic() - begun:.0f} s, seed {seed}, slowest "
        f"{slowest[1]} ({slowest[0]:.1f} s); found {sum(found.values())}, {len(found)} kinds"
    )
    return 1 if found else 0


def _one(fuzzer: Fuzzer, kind: str, number: int, seed: int) -> tuple[str, str]:
    """(outcome, what was found, if anything) of one input."""
    signal.alarm(PATIENCE)
    faulthandler.dump_traceback_later(2 * PATIENCE, exit=True)  # C code hears no alarm
    try:
        return getattr(fuzzer, kind)(Random(f"{seed}/{kind}/{number}")), ""
    except Found as error:
        return "found", str(error)
    except Hang:
        return "found", f"took longer than {PATIENCE} s"
    except (Exception, SystemExit) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return "found", f"escaped: {type(error).__name__}: {error} at {last.filename}:{last.lineno}"
    finally:
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()


def _alarm(number: int, frame: FrameType | None) -> None:
    raise Hang


if __name__ == "__main__":
    sys.exit(main())
