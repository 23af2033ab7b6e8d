"""Compiling and recording: where it fails, the run goes on without."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mppi_zoo.agent.execution import Execution
from mppi_zoo.cli import acceleration, resume
from mppi_zoo.cli.acceleration import accelerate, recorder_for
from mppi_zoo.cli.arguments import parser
from mppi_zoo.cli.setup import Setup, build
from mppi_zoo.training.throughput import Sizes, Speed

DEBUG = ["--gin", "bmpc_equiv", "--gin", "debug", "--task", "toy:point", "--device", "cpu"]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Sizes]:
    """Sizes at which the speed was measured."""
    sizes: list[Sizes] = []

    def measure(agent: object, given: Sizes, **parts: bool) -> Speed:
        sizes.append(given)
        return Speed(0.1, 0.2)

    monkeypatch.setattr(acceleration, "measure", measure)
    return sizes


@contextlib.contextmanager
def setup(*arguments: str) -> Iterator[tuple[Setup, argparse.Namespace]]:
    args = parser().parse_args([*DEBUG, *arguments])
    resume.settle(args)
    with contextlib.ExitStack() as stack:
        yield build(args, None, stack), args


def test_the_speed_is_that_of_the_run(measured: list[Sizes]) -> None:
    said: list[str] = []
    reanalysis = ("--param", "Reanalysis.interval=10", "--param", "Reanalysis.count=20")
    with setup("--num-envs", "2", *reanalysis) as (built, args):
        assert accelerate(built, args, said.append) == Speed(0.1, 0.2)
        horizon = built.execution.agent.planner.horizon
    assert measured == [Sizes(2, 16, 20 * horizon, 10, 2)] and said == []


def test_two_cores_compile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # a copy of the process plans, this one updates, and then both are measured here
    def measure(agent: object, given: Sizes, plans: bool = True, updates: bool = True) -> Speed:
        (tmp_path / f"{plans} {updates}").write_text(str(os.getpid()))
        return Speed(0.1, 0.2)

    monkeypatch.setattr(acceleration, "measure", measure)
    monkeypatch.setattr(Execution, "compile", lambda self: None)
    with setup("--compile") as (built, args):
        assert accelerate(built, args, lambda _: None, copies=True) == Speed(0.1, 0.2)
    done = {path.name: int(path.read_text()) == os.getpid() for path in tmp_path.iterdir()}
    assert done == {"True False": False, "False True": True, "True True": True}


def test_there_are_no_graphs_without_a_gpu(measured: list[Sizes]) -> None:
    said: list[str] = []
    with setup("--graphs") as (built, args):
        assert recorder_for(built.device) is None
        accelerate(built, args, said.append)
    assert said == ["no CUDA graphs on cpu: going on without them"] and len(measured) == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [(RuntimeError("no compiler\nat line 3"), "no compiler"), (KeyError(), "KeyError")],
)
def test_a_compiler_that_fails_is_told_and_left_out(
    error: Exception,
    reason: str,
    measured: list[Sizes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []

    def fail(self: Execution) -> None:
        calls.append("compile")
        raise error

    monkeypatch.setattr(Execution, "compile", fail)
    monkeypatch.setattr(Execution, "uncompile", lambda self: calls.append("uncompile"))
    said: list[str] = []
    with setup("--compile") as (built, args):
        accelerate(built, args, said.append)
    assert calls == ["compile", "uncompile"] and len(measured) == 1
    assert said == [
        "compiling: one to three minutes, or seconds where torch's cache has it",
        f"torch.compile failed ({reason}): going on without it",
    ]
