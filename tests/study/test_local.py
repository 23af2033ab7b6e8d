"""Real studies on this machine: to the end, killed and taken up, failing, stopped, in segments."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mppi_zoo.cli import main as run
from mppi_zoo.study import commands as program
from mppi_zoo.study import journal
from mppi_zoo.study.file import read_study
from mppi_zoo.study.grid import expand
from mppi_zoo.study.local import Room, rooms
from mppi_zoo.study.state import FAILED, FINISHED, PAUSED, read_state

# Checkpoints every 0.6 s, so that a kill loses little.
DEFINITION = """
members: [pompc_adaptive_fkl]
tasks: ["toy:point"]
gin: [debug]
seeds: [{seeds}]
grid: {{KLObjective.lam: [0.1, "@Infinite()"]}}
steps: {steps}
params: [TrainingOptions.checkpoint_minutes=0.01, TrainingOptions.log_every=10, seed_steps=30,
         eval_every=40, iterations=1, horizon=2]
arguments: [--no-video, --quiet, --device=cpu]
"""
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def write(folder: Path, seeds: str = "1", steps: int = 80, more: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "small.yaml"
    path.write_text(DEFINITION.format(seeds=seeds, steps=steps) + more)
    return path


def command(definition: Path, out: Path, *extra: str) -> list[str]:
    return [str(definition), "--out", str(out), "--parallel", "2", *extra]


def begin(definition: Path, out: Path, *extra: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mppi_zoo.study", *command(definition, out, *extra)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ENVIRONMENT,
    )


def wait_for(condition, seconds: float = 120.0) -> None:
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError("what the test waits for did not come")


def states(out: Path) -> dict[str, str]:
    runs = expand(read_study(out / "study.yaml"))
    return {run.name: read_state(out, run, lambda job: False).state for run in runs}


def metrics(out: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in out.glob("runs/*/metrics.csv")}


def undisturbed(definition: Path, out: Path) -> Path:
    """The study's runs one after another within this process, which spares their startups."""
    for planned in expand(read_study(definition)):
        folder = out / "runs" / planned.name
        assert run.main([*planned.arguments, "--out", str(folder)]) == 0
    return out


def checkpoints(out: Path) -> int:
    return len(list(out.glob("runs/*/state/*.json")))


@pytest.mark.slow
def test_a_study_killed_halfway_ends_as_an_undisturbed_one(tmp_path) -> None:
    definition = write(tmp_path, steps=120)
    whole, cut = undisturbed(definition, tmp_path / "whole"), tmp_path / "cut"
    launcher = begin(definition, cut)
    wait_for(lambda: checkpoints(cut) >= 2)
    everything = psutil.Process(launcher.pid).children(recursive=True)
    for process in [launcher, *everything]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    launcher.wait()
    psutil.wait_procs(everything, timeout=30)
    assert FINISHED not in states(cut).values(), "the kill came too late to cut anything off"
    assert program.main(command(definition, cut)) == 0
    before = metrics(whole)
    assert len(before) == 2 and metrics(cut) == before
    longer = write(tmp_path, steps=130)
    assert program.main(command(longer, cut)) == 2  # another study
    assert program.main(command(longer, cut, "--force")) == 0
    for name, text in metrics(cut).items():
        assert text.startswith(before[name]) and b"\n130,train," in text


@pytest.mark.slow
def test_runs_that_outlive_their_launcher_are_left_to_end(tmp_path) -> None:
    definition, out = write(tmp_path, steps=100), tmp_path / "study"
    launcher = begin(definition, out)
    wait_for(lambda: checkpoints(out) >= 2)
    launcher.kill()
    launcher.wait()
    assert program.main(command(definition, out)) == 0
    assert set(states(out).values()) == {FINISHED}
    starts = [path.read_text().count('"started"') for path in out.glob("journal/*")]
    assert starts == [1, 1]
    before = metrics(out)
    assert program.main(command(definition, out)) == 0  # nothing is left to do
    assert metrics(out) == before


@pytest.mark.slow
def test_a_signal_stops_all_runs_with_checkpoints(tmp_path) -> None:
    definition, out = write(tmp_path, steps=400), tmp_path / "study"
    launcher = begin(definition, out)
    wait_for(lambda: checkpoints(out) >= 2)
    launcher.send_signal(signal.SIGINT)
    output, _ = launcher.communicate(timeout=120)
    assert launcher.returncode == 75, output
    assert "stopped by SIGINT; the same command goes on" in output
    assert set(states(out).values()) == {PAUSED}


BREAKS = """
from mppi_zoo.envs.toy import Point
class Breaks(Point):
    left = 40  # of this process; those with which a run probes it do not matter
    def step(self, action):
        Breaks.left -= 1
        if Breaks.left < 0:
            raise ZeroDivisionError("a bug of mine")
        return super().step(action)
"""


@pytest.mark.slow
def test_a_failing_run_is_retried_and_reported_and_others_go_on(
    tmp_path, capfd, monkeypatch
) -> None:
    (tmp_path / "breaks.py").write_text(BREAKS)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    definition = tmp_path / "faulty.yaml"
    definition.write_text(
        "members: [pompc_replay]\ngin: [debug]\ntasks: ['toy:point', 'breaks:Breaks']\n"
        "steps: 90\nparams: [seed_steps=20, eval_every=0]\n"
        "arguments: [--no-video, --quiet, --device=cpu]\n"
    )
    out = tmp_path / "study"
    code = program.main(command(definition, out, "--retries", "1"))
    told = capfd.readouterr()
    found = states(out)
    assert code == 1
    assert sorted(found.values()) == [FINISHED, FAILED]
    (failed,) = (name for name, state in found.items() if state == FAILED)
    assert f"{failed} failed (exit code 3, 2 tries)" in told.err
    assert "a bug of mine" in told.err
    assert program.main(["status", str(out)]) == 0
    told = capfd.readouterr()
    assert "1 failed, 1 done" in told.out and "a bug of mine" in told.out


def test_status_asks_slurm_once_for_all_runs(tmp_path, monkeypatch, capsys) -> None:
    out = tmp_path / "study"
    out.mkdir()
    (out / "study.yaml").write_text(write(tmp_path).read_text())
    for number, planned in enumerate(expand(read_study(out / "study.yaml"))):
        job = f"slurm:7_{number}"
        journal.note(out, planned.name, journal.SUBMITTED, job=job, steps=planned.steps)
    answers = [frozenset({"slurm:7_0", "slurm:7_1"})] * 2 + [frozenset()]
    left = iter(answers)
    monkeypatch.setattr("mppi_zoo.study.slurm.queue", lambda: next(left))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    assert program.main(["status", str(out)]) == 0
    assert "2 queued" in capsys.readouterr().out and len(list(left)) == 2
    left = iter(answers[1:])
    assert program.main(["status", str(out), "--watch"]) == 0
    assert "2 waiting" in capsys.readouterr().out and not list(left)


# In a run's first process a step lasts longer than a segment; in later ones it takes no time.
PAUSES = """
import os, sys, time
from mppi_zoo.envs.toy import Point
class Pauses(Point):
    restorable = True
    left = 45  # steps of this process until then; those with which a run probes it do not matter
    def step(self, action):
        Pauses.left -= 1
        if Pauses.left == 0 and "PAUSED" in os.environ:
            run = sys.argv[sys.argv.index("--out") + 1]
            try:
                os.close(os.open(os.path.join(os.environ["PAUSED"], os.path.basename(run)),
                                 os.O_CREAT | os.O_EXCL))
                time.sleep(5)
            except FileExistsError:
                pass
        return super().step(action)
"""


@pytest.mark.slow
def test_segments_let_all_runs_take_turns(tmp_path, monkeypatch) -> None:
    (tmp_path / "pauses.py").write_text(PAUSES)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.syspath_prepend(tmp_path)
    definition = write(tmp_path, steps=60)
    text = definition.read_text().replace("toy:point", "pauses:Pauses")
    definition.write_text(text.replace("eval_every=40", "eval_every=0"))
    whole, out = undisturbed(definition, tmp_path / "whole"), tmp_path / "study"
    (tmp_path / "paused").mkdir()
    monkeypatch.setenv("PAUSED", str(tmp_path / "paused"))
    segments = ["--segment-minutes", str(4 / 60), "--parallel", "1"]
    assert program.main(command(definition, out, *segments)) == 0
    events = [json.loads(line) for path in out.glob("journal/*") for line in path.open()]
    codes = [event["code"] for event in events if event["event"] == "ended"]
    assert codes.count(0) == 2 and codes.count(75) >= 2 and set(codes) == {0, 75}
    assert metrics(out) == metrics(whole)


def test_another_study_in_the_folder_is_refused_with_the_difference(tmp_path, capsys) -> None:
    out = tmp_path / "study"
    out.mkdir()
    first = write(tmp_path)
    assert program.main([str(first), "--out", str(out), "--dry-run", "--speed", "2"]) == 0
    told = capsys.readouterr().out
    assert "2 runs, 160 agent steps: 0.0 hours" in told and "--gin pompc_adaptive_fkl" in told
    assert list(out.iterdir()) == []
    (out / "study.yaml").write_text(first.read_text())
    second = write(tmp_path, steps=90)
    assert program.main([str(second), "--out", str(out)]) == 2
    assert "-steps: 80\n+steps: 90" in capsys.readouterr().err


def test_bad_input_touches_no_folder(tmp_path, capsys) -> None:
    out = tmp_path / "study"
    for arguments, message in (
        (["nowhere.yaml"], "no study 'nowhere.yaml'"),
        (["--tasks", "toy:point"], "name a study file"),
        (["--gin", "pompc_replay"], "--tasks is missing"),
        (["--gin", "pompc_replay", "--tasks", "toy:point", "--seeds", "x"], "--seeds x"),
        (["--gin", "pompc_replay", "--tasks", "toy:point", "--grid", "lam"], "NAME=[VALUES]"),
        (["--gin", "pompc_replay", "--tasks", "toy:point", "--slurm"], "--time MINUTES is missing"),
        (
            ["--gin", "pompc_replay", "--tasks", "toy:point", "--slurm", "--time", "2"],
            "--signal-delay 120",
        ),
    ):
        assert program.main([*arguments, "--out", str(out)]) == 2
        assert message in capsys.readouterr().err
        assert not out.exists()
    for option, value in (("--parallel", "0"), ("--retries", "-1")):
        with pytest.raises(SystemExit) as refused:
            program.main(["--gin", "pompc_replay", "--tasks", "toy:point", option, value])
        assert refused.value.code == 2
        assert f"argument {option}: '{value}': expected" in capsys.readouterr().err
    assert program.main(["status", str(tmp_path)]) == 2
    assert program.main(["report", str(tmp_path)]) == 2


def test_rooms_spread_runs_over_gpus_first() -> None:
    assert rooms(None, ["0", "1"], 2) == [Room("0"), Room("1"), Room("0"), Room("1")]
    assert rooms(3, ["0", "1"], 1) == [Room("0"), Room("1"), Room("0")]
    assert rooms(3, [], 1) == [Room()] * 3
    assert len(rooms(None, [], 1)) >= 1
    with pytest.raises(ValueError, match="--runs-per-gpu 0"):
        rooms(None, ["0"], 0)
