"""Kills a whole study again and again, then compares its runs with those of an undisturbed one.

python tests/system/soak/study_soak.py --kills 25 --num-envs 4 --async-envs

Every kill is a SIGKILL of the launcher and all processes below it (jobs, runs, environments) at a
moment drawn uniformly in wall time; every fourth kills one run alone, which the study then starts
again. The same command goes on each time. At the end, each run's metrics, agents, state and replay
must be those of the undisturbed study, bit by bit. Exit code 0 if they are.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import psutil
from compare import differences  # pyright: ignore[reportMissingImports]

DEFINITION = """
members: [pompc_adaptive_fkl]
tasks: ["toy:point"]
gin: [debug]
seeds: [1, 2]
steps: {steps}
params: [TrainingOptions.checkpoint_minutes=0.003, TrainingOptions.log_every=20, seed_steps=60,
         "eval_every={eval_every}", iterations=1, horizon=2]
arguments: [--no-video, --quiet, --device=cpu, --num-envs={num_envs}{more}]
"""


def main() -> int:
    args = arguments()
    draws = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        more = ", --async-envs" if args.async_envs else ""
        definition = folder / "soak.yaml"
        definition.write_text(
            DEFINITION.format(
                steps=args.steps * args.num_envs,
                eval_every=args.steps * args.num_envs // 4,
                num_envs=args.num_envs,
                more=more,
            )
        )
        begun = time.monotonic()
        finish(definition, folder / "whole")
        duration = time.monotonic() - begun
        print(f"undisturbed: {duration:.0f} s", flush=True)
        struck, studies = soak(definition, folder, draws, args.kills, duration)
        found = [
            f"{run.name}: {path}"
            for study in studies
            for run in sorted((folder / "whole" / "runs").iterdir())
            for path in differences(run, study / "runs" / run.name)
        ]
    for path in found[:20]:
        print(f"differs: {path}")
    same = "bit-identical" if not found else f"{len(found)} differences"
    print(
        f"study of 2 runs, {args.num_envs} environments each{more}: {struck['study']} kills of the "
        f"study, {struck['run']} of one run, {struck['processes']} processes killed, in "
        f"{len(studies)} studies, {same}",
        flush=True,
    )
    return 1 if found else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--num-envs", type=int, default=4)
    parser.add_argument("--async-envs", action="store_true")
    parser.add_argument("--steps", type=int, default=150, help="of each environment")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def begin(definition: Path, out: Path) -> psutil.Popen:
    """The study's command: the same for every life."""
    command = [sys.executable, "-m", "mppi_zoo.study", str(definition), "--out", str(out)]
    with (out.parent / f"{out.name}.txt").open("ab") as output:
        return psutil.Popen(
            [*command, "--parallel", "2", "--retries", "1000"],
            stdout=output,
            stderr=output,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )


def finish(definition: Path, out: Path) -> None:
    code = begin(definition, out).wait()
    if code:
        print((out.parent / f"{out.name}.txt").read_text()[-3000:])
        sys.exit(f"a study ended with exit code {code}, expected 0")


def soak(
    definition: Path, folder: Path, draws: random.Random, kills: int, duration: float
) -> tuple[dict[str, int], list[Path]]:
    """Kill ``kills`` times; how often what was struck, and the studies that were."""
    struck = {"study": 0, "run": 0, "processes": 0}
    studies = [folder / "killed_0"]
    while struck["study"] + struck["run"] < kills:
        out = studies[-1]
        launcher = begin(definition, out)
        one_run = (struck["study"] + struck["run"]) % 4 == 3
        # so that the whole study is spread over a handful of lives
        deadline = time.monotonic() + draws.uniform(0.2, 0.7) * duration
        while time.monotonic() < deadline and launcher.poll() is None:
            time.sleep(0.05)
        if launcher.poll() is not None:  # done before it was struck: another one begins
            if launcher.returncode:
                finish(definition, out)
            studies.append(folder / f"killed_{len(studies)}")
            continue
        if one_run:
            killed = kill_one_run(launcher, draws)
            time.sleep(draws.uniform(0, 0.2) * duration)
        else:
            killed = 0
        struck["run"] += killed > 0
        killed += kill_all(launcher)
        struck["study"] += 1
        struck["processes"] += killed
        print(f"{out.name}: {progress(out)}", flush=True)
    for out in studies:
        finish(definition, out)
    return struck, studies


def kill_all(launcher: psutil.Popen) -> int:
    """SIGKILL to a process and all below it, at once; how many."""
    victims = [launcher, *below(launcher)]
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    psutil.wait_procs(victims, timeout=60)
    return len(victims)


def kill_one_run(launcher: psutil.Popen, draws: random.Random) -> int:
    """SIGKILL to one run and its environments; how many processes."""
    runs = []
    for process in below(launcher):
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if "mppi_zoo.run" in words and "--out" in words:
                runs.append(process)
    first = [run for run in runs if run.ppid() not in {other.pid for other in runs}]
    return kill_all(draws.choice(first)) if first else 0


def below(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def progress(out: Path) -> str:
    """The step of the newest checkpoint of each run."""
    steps = {}
    for run in sorted((out / "runs").glob("*")):
        manifests = sorted((run / "state").glob("*.json"))
        steps[run.name[-2:]] = json.loads(manifests[-1].read_bytes())["step"] if manifests else 0
    return str(steps)


if __name__ == "__main__":
    sys.exit(main())
