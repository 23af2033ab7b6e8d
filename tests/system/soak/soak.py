"""Kills a training again and again, then compares its result with that of an undisturbed one.

python tests/system/soak/soak.py --task toy:point --num-envs 4 --kills 50

Every kill is a SIGKILL of the training's whole process group. Most come at moments drawn uniformly
in wall time; some are set to strike within the seed phase, the pretraining, an evaluation, and the
writing of a checkpoint. The last life runs to the end, and metrics, agents, the state and the
replay must be those of the undisturbed run, bit by bit. Exit code 0 if they are.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from compare import differences  # pyright: ignore[reportMissingImports]

FORK = multiprocessing.get_context("fork")  # a life begins in a moment: torch is imported
KILL = signal.SIGKILL
TARGETED = ("seed phase", "pretraining", "evaluating", "checkpoint")


def main() -> int:
    args = arguments()
    draws = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as temporary:
        whole = Path(temporary) / "whole"
        startup, duration = undisturbed(args, whole)
        print(f"undisturbed: {duration:.1f} s, of which {startup:.1f} s until the run begins")
        soak = Soak(args, Path(temporary), draws, startup, duration)
        trainings = soak.run()
        print(f"killed while: {dict(soak.struck)}")
        found = [path for folder in trainings for path in differences(whole, folder)]
    for path in found[:20]:
        print(f"differs: {path}")
    same = "bit-identical" if not found else f"{len(found)} differences"
    print(
        f"{args.task}, {args.num_envs} environments: {sum(soak.struck.values())} kills in "
        f"{len(trainings)} training(s), {same}",
        flush=True,
    )
    return 1 if found else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="toy:point")
    parser.add_argument("--gin", default="pompc_adaptive_fkl")
    parser.add_argument("--num-envs", type=int, default=1)
    parser.add_argument("--async-envs", action="store_true")
    parser.add_argument("--beside", action="store_true", help="evaluations beside the training")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--each", type=int, default=3, help="of the kills, for each target")
    parser.add_argument("--steps", type=int, default=600, help="of each environment")
    parser.add_argument("--eval-every", type=int, default=60, help="steps of each environment")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.steps *= args.num_envs
    args.eval_every *= args.num_envs
    if args.kills < args.each * len(TARGETED):
        parser.error(f"--kills {args.kills}: expected at least {args.each * len(TARGETED)}")
    return args


def command(args: argparse.Namespace, out: Path, beside: bool = False) -> list[str]:
    """The same for every life: it starts the run, or goes on with it."""
    given = ["--gin", args.gin, "--gin", "debug", "--task", args.task, "--steps", str(args.steps)]
    given += ["--num-envs", str(args.num_envs), *(["--async-envs"] if args.async_envs else [])]
    for binding in (
        f"eval_every={args.eval_every}",
        "replay_capacity=400",  # so that the ring wraps
        "iterations=1",  # half the time, and nothing that a kill could spoil
        "horizon=2",
        "TrainingOptions.log_every=20",
        "TrainingOptions.checkpoint_minutes=0.003",
    ):
        given += ["--param", binding]
    given += ["--evaluate-beside" if beside else "--no-evaluate-beside"]
    return [*given, "--no-video", "--quiet", "--out", str(out), "--continue"]


def life(given: list[str], phase: Any, trap: tuple[str, int] | None) -> None:
    """One process of the training; ``trap`` kills it at the n-th call within a phase."""
    os.setsid()
    sys.stderr = open(os.devnull, "w")
    import torch

    from mppi_zoo.cli import main as run
    from mppi_zoo.runs import atomic
    from mppi_zoo.training import checkpointing, evaluation
    from mppi_zoo.training import trainer as runner

    torch.set_num_threads(1)
    left = [math.inf if trap is None else trap[1]]
    target = None if trap is None else trap[0]

    def at(where: str) -> None:
        phase.value = where.encode()
        if where == target:
            left[0] -= 1
            if left[0] < 0:
                os.killpg(0, KILL)

    def watch(owner: Any, name: str, where: str) -> None:
        original = getattr(owner, name)

        def watched(*given: Any, **named: Any) -> Any:
            at(where)
            return original(*given, **named)

        setattr(owner, name, watched)

    watch(runner.Trainer, "explore", "seed phase")
    watch(runner.Trainer, "pretrain", "pretraining")
    watch(runner.Trainer, "advance", "training")
    original_step = evaluation.Evaluator.planner

    def planner(self: Any, *given: Any, **named: Any) -> Any:
        before, self.each_step = self.each_step, lambda: (at("evaluating"), before())[1]
        return original_step(self, *given, **named)

    evaluation.Evaluator.planner = planner  # type: ignore[method-assign]
    saving = checkpointing.Checkpointer.save

    def save(self: Any) -> Path:
        at("checkpoint")
        replace, sync = os.replace, os.fsync
        os.replace = lambda *names: (at("checkpoint"), replace(*names), at("checkpoint"))[1]
        os.fsync = lambda descriptor: (at("checkpoint"), sync(descriptor))[1]
        try:
            return saving(self)
        finally:
            os.replace, os.fsync = replace, sync

    checkpointing.Checkpointer.save = save  # type: ignore[method-assign]
    assert atomic.os is os
    os._exit(run.main(given))


def begin(given: list[str], trap: tuple[str, int] | None = None) -> tuple[Any, Any]:
    """A life, and where it says what it does."""
    phase: Any = FORK.Array("c", 20)
    phase.value = b"starting"
    process = FORK.Process(target=life, args=(given, phase, trap))
    process.start()
    return process, phase


def undisturbed(args: argparse.Namespace, out: Path) -> tuple[float, float]:
    """Runs to the end; seconds until the run begins, and altogether."""
    begun, startup = time.monotonic(), 0.0
    process, phase = begin(command(args, out))
    while process.is_alive():
        if not startup and phase.value != b"starting":
            startup = time.monotonic() - begun
        time.sleep(0.01)
    require(process, 0)
    return startup, time.monotonic() - begun


class Soak:
    """Kills a training ``args.kills`` times, then lets it end."""

    # Calls within which a trap springs; all of them happen before the run can end.
    REACH = {"pretraining": 50, "evaluating": 40, "checkpoint": 12}

    def __init__(
        self,
        args: argparse.Namespace,
        folder: Path,
        draws: random.Random,
        startup: float,
        duration: float,
    ):
        self.args, self.folder, self.draws = args, folder, draws
        self.startup, self.duration = startup, duration
        self.alive = 0.0  # seconds of all lives beyond their startups
        self.struck: Counter[str] = Counter()  # what the training was doing at each kill
        self.trainings: list[Path] = []

    def run(self) -> list[Path]:
        """The run folders; one, unless a training ends before its last kill."""
        args = self.args
        early = ["seed phase"] * args.each + ["pretraining"] * args.each
        late = ["evaluating"] * args.each + ["checkpoint"] * args.each
        late += ["random"] * (args.kills - len(early) - len(late))
        self.draws.shuffle(late)
        plan = early + late
        self._new_training()
        while plan:
            if self._life(plan[0], len(plan)):
                plan.pop(0)
            else:
                self._new_training()
        process, _ = begin(command(args, self.trainings[-1], args.beside))
        process.join()
        require(process, 0)
        return self.trainings

    def _new_training(self) -> None:
        self.trainings.append(self.folder / f"killed_{len(self.trainings)}")

    def _life(self, target: str, lives_left: int) -> bool:
        """Whether the life ended by being killed, not by finishing the training."""
        out = self.trainings[-1]
        reach: int = self.REACH.get(target) or 50 // self.args.num_envs
        trap = None if target == "random" else (target, self.draws.randrange(reach))
        process, phase = begin(command(self.args, out, self.args.beside), trap)
        begun = time.monotonic()
        if trap is None:
            process.join(self.draws.uniform(0, self.startup + 2 * self._left() / lives_left))
            if process.is_alive():
                kill(process)
        process.join()
        self.alive += max(time.monotonic() - begun - self.startup, 0)
        if process.exitcode == 0:
            return False
        require(process, -KILL)
        name = phase.value.decode()
        if target == "seed phase" and not list((out / "state").glob("*.json")):
            name += ", no checkpoint yet"  # on a slow machine there may be one already
        self.struck[name] += 1
        return True

    def _left(self) -> float:
        """Seconds that the training still needs, at the pace of its lives so far."""
        done = progress(self.trainings[-1], self.args.steps)
        whole = len(self.trainings) - 1 + done
        duration = self.alive / whole if whole > 0.1 else self.duration
        return duration * (1 - done)


def progress(out: Path, steps: int) -> float:
    """The share of the training that the newest checkpoint holds."""
    manifests = sorted((out / "state").glob("*.json"))
    return json.loads(manifests[-1].read_bytes())["step"] / steps if manifests else 0.0


def kill(process: Any) -> None:
    try:
        os.killpg(process.pid, KILL)
    except ProcessLookupError:  # so young that it has no group of its own yet
        process.kill()


def require(process: Any, code: int) -> None:
    if process.exitcode != code:
        print(f"a life ended with exit code {process.exitcode}, expected {code}")
        sys.exit(2)


if __name__ == "__main__":
    import mppi_zoo.cli.main  # noqa: F401  (imported before the forks)

    sys.exit(main())
