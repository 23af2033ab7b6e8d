"""Threads and compiling of a run: the user's word, the run's record, or the rules."""

from __future__ import annotations

import argparse
import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mppi_zoo.cli import machine, resume
from mppi_zoo.cli import main as run
from mppi_zoo.cli.arguments import parser
from mppi_zoo.cli.setup import add_evaluator, build
from mppi_zoo.compute import compiling, threads
from mppi_zoo.runs.beside import impossible
from mppi_zoo.training.forecast import Forecast
from mppi_zoo.training.options import TrainingOptions
from mppi_zoo.training.throughput import Speed

TOY = ["--task", "toy:point", "--device", "cpu", "--no-video"]
LAPTOP = ["--gin", "bmpc_equiv", "--gin", "scale/laptop", *TOY]
SIZE5 = ["--gin", "tdmpc2_equiv", *TOY, "--param", "TrainingOptions.replay_capacity=1000"]
DEBUG = ["--gin", "bmpc_equiv", "--gin", "debug", *TOY, "--quiet"]
NO_EVALUATION = ["--param", "eval_every=0"]


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(threads.VARIABLE, raising=False)
    monkeypatch.setattr(threads, "usable_cores", lambda: 8)
    monkeypatch.setattr(compiling, "compiler", lambda: "/usr/bin/g++")


def settled(*arguments: str) -> argparse.Namespace:
    args = parser().parse_args(arguments)
    record = resume.settle(args)
    with contextlib.ExitStack() as stack:
        machine.settle(build(args, record, stack), args)
    return args


def test_laptop_scale_takes_one_thread_and_compiles_what_is_long() -> None:
    args = settled(*LAPTOP, "--steps", "15000")
    assert (args.threads, args.compile) == (1, True)
    args = settled(*LAPTOP, "--steps", "1200", "--param", "seed_steps=500")
    assert (args.threads, args.compile) == (1, False)


def test_the_published_size_takes_more_threads() -> None:
    args = settled(*SIZE5, "--steps", "1000")
    assert (args.threads, args.compile) == (4, False)


def test_the_user_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    args = settled(*LAPTOP, "--steps", "15000", "--threads", "3", "--no-compile")
    assert (args.threads, args.compile) == (3, False)
    assert settled(*DEBUG, "--compile").compile is True
    monkeypatch.setenv(threads.VARIABLE, "5")
    assert settled(*LAPTOP).threads == 5
    assert settled(*LAPTOP, "--threads", "2").threads == 2


def test_nothing_compiles_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "compiler", lambda: None)
    assert settled(*LAPTOP, "--steps", "15000").compile is False
    assert settled(*LAPTOP, "--steps", "15000", "--compile").compile is True  # and then says why


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_a_number_of_threads_that_is_none_is_refused(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--threads", text])
    assert "expected a whole number >= 1" in capsys.readouterr().err


def test_calls_are_plans_and_updates() -> None:
    options = TrainingOptions(steps=1000, seed_steps=200, updates_per_step=0.5)
    assert machine.calls(options, 1, 50) == 800 + 500
    assert machine.calls(options, 4, 50) == 200 + 500
    options = TrainingOptions(steps=100, seed_steps=200, eval_every=0)
    assert machine.calls(options, 1, 50) == 100


def test_a_run_records_its_number_and_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, used = tmp_path / "run", []
    train = run.train

    def noted(*given: object) -> int:
        used.append(torch.get_num_threads())
        return train(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "train", noted)
    before = torch.get_num_threads()
    short = ["--steps", "20", "--param", "seed_steps=12", "--param", "batch_size=4", *NO_EVALUATION]
    assert run.main([*DEBUG, *short, "--threads", "2", "--out", str(out)]) == 0
    options = json.loads((out / "run.json").read_text())["options"]
    assert (options["threads"], options["compile"]) == (2, False)
    monkeypatch.setenv(threads.VARIABLE, "3")  # as of a study whose setting was changed
    assert run.main(["--resume", str(out), "--quiet"]) == 0
    assert used == [2, 2] and torch.get_num_threads() == before


def test_another_number_needs_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    short = ["--steps", "20", "--param", "seed_steps=12", "--param", "batch_size=4", *NO_EVALUATION]
    assert run.main([*DEBUG, *short, "--out", str(out)]) == 0
    assert run.main(["--resume", str(out), "--quiet", "--threads", "2"]) != 0
    assert "--threads: 1 -> 2" in capsys.readouterr().err
    assert run.main(["--resume", str(out), "--quiet", "--threads", "2", "--force"]) == 0


def beside(evaluation: float, *arguments: str) -> bool:
    """Whether a run whose evaluations take so many seconds evaluates beside its training."""
    args = parser().parse_args([*DEBUG, *arguments])
    resume.settle(args)
    with contextlib.ExitStack() as stack:
        setup = build(args, None, stack)
        machine.settle(setup, args)
        setup = add_evaluator(setup, args, stack, lambda: None)
        found = Forecast(Speed(0.1, 0.1), 0.0, setup.experiment.training, 1, 50)
        one = replace(found, speed=Speed(0.1, 0.1, evaluation / (50 + 64 / 2)))
        return machine.evaluates_beside(setup, args, one)


@pytest.mark.skipif(bool(impossible()), reason="copies of the process compute on Linux only")
def test_long_evaluations_run_beside_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    assert beside(6.0) and not beside(4.0)
    assert beside(4.0, "--evaluate-beside") and not beside(6.0, "--no-evaluate-beside")
    assert not beside(6.0, "--threads", "2") and not beside(6.0, *NO_EVALUATION)
    assert not beside(6.0, "--param", "TrainingOptions.checkpoint_minutes=0")
    assert not beside(6.0, "--param", "Experiment.callbacks=[@EarlyStopping()]")
    monkeypatch.setattr(threads, "usable_cores", lambda: 1)
    assert not beside(6.0) and beside(4.0, "--evaluate-beside")
