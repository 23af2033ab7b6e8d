"""The command line's options: what they stand for, what is filled in, what is refused."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mppi_zoo.cli import resume
from mppi_zoo.cli.arguments import Refusing, env_arguments, overrides, parser, pick_device
from mppi_zoo.runs import folder as run_folder

OPTIONS = {"seed": 7, "num_envs": 3, "device": "cpu", "compile": False, "imports": ["my_parts"]}


def parsed(*arguments: str) -> argparse.Namespace:
    return parser().parse_args(arguments)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A run folder's record, with options as of an older version: some are missing."""
    record = {"member": "bmpc_equiv", "options": OPTIONS, "versions": {}}
    (tmp_path / run_folder.RUN_FILE).write_text(json.dumps(record))
    return tmp_path


def test_options_override_bindings() -> None:
    args = parsed("--param", "steps=5", "--param", "a.b=1", "--task", "toy:point", "--steps", "9")
    assert overrides(args) == ["steps=5", "a.b=1", "task = 'toy:point'", "steps = 9"]
    assert overrides(parsed()) == []


def test_arguments_of_the_environment_are_values_as_in_gin() -> None:
    args = parsed(
        *("--env-arg", "a=1e-2", "--env-arg", "b=False", "--env-arg", "c=sparse"),
        *("--env-arg", "d='x=y'", "--env-arg", "e=[1, {'f': None}]"),
    )
    expected = {"a": 0.01, "b": False, "c": "sparse", "d": "x=y", "e": [1, {"f": None}]}
    assert env_arguments(args.env_args) == expected
    assert overrides(args) == [f"EnvOptions.arguments = {expected!r}"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["a"], "--env-arg a: expected NAME=VALUE"),
        (["1a=2"], "expected NAME=VALUE"),
        (["a=true"], "--env-arg a=true: expected True, or quotes"),
        (["a=[1,"], "brackets and quotes closed"),
        (["a=1", "a=2"], "a is there more than once"),
    ],
)
def test_other_arguments_are_refused(given: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        env_arguments(given)


def test_a_negative_seed_is_refused_by_its_range(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("--seed", "-1")
    assert "argument --seed: '-1': expected an integer in [0, " in capsys.readouterr().err


def test_the_device_is_the_one_named() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device(None).type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "meta", "cpu:3", ""])
def test_a_device_that_is_absent_is_named_with_those_found(name: str) -> None:
    with pytest.raises(ValueError, match=rf"--device {name}: not available here .*found: cpu"):
        pick_device(name)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--see", "5"],
        ["--seed", "-1"],
        ["--seed", "9" * 30],
        ["--steps", "0"],
        ["--steps", "1.5"],
        ["--num-envs", "100000"],
    ],
)
def test_an_abbreviation_or_a_number_out_of_range_is_no_option(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        parsed(*arguments)
    assert left.value.code == 2
    assert "expected an integer in" in capsys.readouterr().err or arguments[0] == "--see"
    with pytest.raises(ValueError, match="unrecognized|expected an integer in"):
        parser(Refusing).parse_args(arguments)


def test_a_new_run_gets_the_defaults() -> None:
    args = parsed("--gin", "bmpc_equiv", "--seed", "4")
    assert resume.settle(args) is None
    assert args.seed == 4 and args.num_envs == 1 and args.device is None
    assert (
        args.compile is None and args.threads is None and args.imports == [] and args.changed == []
    )


def test_a_resumed_run_gets_its_own_options(kept: Path) -> None:
    args = parsed("--resume", str(kept), "--trust")
    record = resume.settle(args)
    assert record is not None and record["member"] == "bmpc_equiv"
    assert (args.seed, args.num_envs, args.imports) == (7, 3, ["my_parts"])
    assert args.graphs is False  # an option that the run's version did not have
    assert args.changed == []


def test_what_changes_the_last_digits_is_noted(kept: Path) -> None:
    args = parsed("--resume", str(kept), "--compile", "--device", "cpu", "--num-envs", "3")
    args.imports = ["other", "my_parts"]
    resume.settle(args)
    assert args.changed == ["--compile: False -> True"] and args.compile is True
    assert args.imports == ["other", "my_parts"]


def test_continue_resumes_where_there_is_a_run(kept: Path, tmp_path: Path) -> None:
    named = ("--import", "my_parts")
    args = parsed("--continue", "--out", str(kept), "--gin", "bmpc_equiv", *named)
    assert resume.settle(args) is not None and args.resume == kept
    args = parsed("--continue", "--out", str(tmp_path / "new"), "--gin", "bmpc_equiv")
    assert resume.settle(args) is None and args.resume is None


REFUSED: dict[str, tuple[list[str], str]] = {
    "no member": ([], "--gin FILE is missing"),
    "continue without a folder": (["--continue"], "--continue needs --out FOLDER"),
    "another folder": (["--resume", "{run}", "--out", "elsewhere"], "no --out, no --eval"),
    "evaluation of a run": (["--resume", "{run}", "--eval"], "no --out, no --eval"),
    "another seed": (["--resume", "{run}", "--seed", "8"], "--seed 8: the run in {run} has 7"),
    "other environments": (["--resume", "{run}", "--num-envs", "1"], "--num-envs 1: the run in"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_options_that_cannot_be_are_refused(kept: Path, case: str) -> None:
    arguments, message = REFUSED[case]
    args = parsed(*(argument.format(run=kept) for argument in arguments))
    with pytest.raises(ValueError) as caught:
        resume.settle(args)
    assert message.format(run=kept) in str(caught.value)


def test_a_run_without_checkpoints_says_what_to_do(kept: Path) -> None:
    file = kept / run_folder.RUN_FILE
    record: dict[str, Any] = json.loads(file.read_text())
    del record["options"]
    file.write_text(json.dumps(record))
    with pytest.raises(ValueError, match="kept no checkpoints: start a new run with --init-from"):
        resume.settle(parsed("--resume", str(kept)))
