"""The command line of ``python -m mppi_zoo.run``: its options and what they stand for."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch

from mppi_zoo.config import gin_config as config
from mppi_zoo.core.options import number
from mppi_zoo.core.ranges import Environments, PositiveInt, Seed
from mppi_zoo.runs.outcome import add_debug, add_version

CONSTANTS = {"true": "True", "false": "False", "none": "None"}


class Refusing(argparse.ArgumentParser):
    """Raises ValueError where a parser of a command line prints its usage and exits."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def parser(
    kind: type[argparse.ArgumentParser] = argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    """The command line."""
    p = kind(
        prog="python -m mppi_zoo.run",
        description="Train or evaluate an agent of the zoo.",
        allow_abbrev=False,  # an abbreviation would pass whatever looks for the whole name
    )
    p.add_argument(
        "--gin",
        action="append",
        default=[],
        metavar="FILE",
        help="member, scale or environment file, by path or name; repeatable, later wins",
    )
    p.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="BINDING",
        help="a gin binding such as KLObjective.lam=0.1; repeatable",
    )
    p.add_argument(
        "--import",
        dest="imports",
        action="append",
        metavar="MODULE",
        help="module that registers parts of your own; repeatable",
    )
    p.add_argument("--task", help="such as dmc:walker-walk, gym:Hopper-v5, my_module:MyEnv")
    p.add_argument(
        "--env-arg",
        dest="env_args",
        action="append",
        metavar="NAME=VALUE",
        help="an argument of the environment, such as partially_observable=False, as in gin; for "
        "gym:, ep:, vec: and module:Factory; repeatable; replaces those of the configuration",
    )
    p.add_argument("--steps", type=number(PositiveInt), help="agent steps to train")
    p.add_argument("--seed", type=number(Seed), help="of the run; default: 1")
    p.add_argument("--device", help="cpu, cuda, cuda:1, ...; default: cuda where present")
    p.add_argument(
        "--num-envs",
        type=number(Environments),
        help="environments stepped together; default: 1",
    )
    p.add_argument(
        "--async-envs", action="store_true", default=None, help="a process for each environment"
    )
    p.add_argument(
        "--eval-env",
        choices=("own", "same"),
        help="where evaluations run: in environments of their own, or between two episodes in the "
        "training's, for a robot of which there is one (docs/on_a_robot.md); default: own",
    )
    p.add_argument("--out", type=Path, help="run folder; default: runs/<member>_<task>_...")
    p.add_argument(
        "--resume",
        type=Path,
        metavar="RUN_FOLDER",
        help="go on from the newest checkpoint of a run that was stopped or killed",
    )
    p.add_argument(
        "--continue",
        dest="continued",
        action="store_true",
        help="with --out: resume the run there if there is one, else start it; for schedulers "
        "that give the same command again",
    )
    p.add_argument(
        "--force", action="store_true", help="with --resume: accept a changed configuration"
    )
    p.add_argument(
        "--trust",
        action="store_true",
        help="with --resume: import the modules that the run folder names, whoever wrote it",
    )
    p.add_argument("--init-from", type=Path, metavar="FILE", help="start from this checkpoint")
    p.add_argument("--eval", action="store_true", help="evaluate only, with --init-from")
    p.add_argument("--show", action="store_true", help="print the full configuration and exit")
    p.add_argument(
        "--threads",
        type=thread_count,
        metavar="N",
        help="CPU threads; default: OMP_NUM_THREADS, else chosen by the networks' sizes and the "
        "cores (docs/speed.md)",
    )
    p.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        help="torch.compile the losses and the planner: one to three minutes at first, then "
        "faster; needs a C++ compiler; default: on a CPU, where the run is long enough "
        "(docs/speed.md)",
    )
    p.add_argument(
        "--graphs",
        action="store_true",
        default=None,
        help="on CUDA, run whole plans and updates as graphs without compiling them; --compile "
        "does both (docs/gpu.md)",
    )
    p.add_argument(
        "--evaluate-beside",
        action=argparse.BooleanOptionalAction,
        help="evaluate on a copy of this process while the training goes on, with the same "
        "results; default: on Linux while a core is idle, if an evaluation takes some seconds "
        "(docs/speed.md)",
    )
    p.add_argument("--no-video", action="store_true", default=None, help="film no evaluation")
    p.add_argument("--wandb", metavar="PROJECT", help="log to Weights & Biases too")
    p.add_argument("--quiet", action="store_true", help="no progress")
    add_debug(p)
    add_version(p)
    return p


def env_arguments(given: Sequence[str]) -> dict[str, Any]:
    """Names and values of ``--env-arg NAME=VALUE``.

    A value is what gin takes: a number, True, False, None, a quoted text, a list or a dictionary. A
    bare word is text.

    Raises:
        ValueError: no name, one name twice, or a value that is none of these.
    """
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier():
            raise ValueError(f"--env-arg {text}: expected NAME=VALUE, such as reward_type=sparse")
        if name in found:
            raise ValueError(f"--env-arg {name} is there more than once; expected it once")
        found[name] = _value(text, value.strip())
    return found


def _value(text: str, value: str) -> Any:
    if value.lower() in CONSTANTS and value not in CONSTANTS.values():
        raise ValueError(
            f"--env-arg {text}: expected {CONSTANTS[value.lower()]}, or quotes around a text"
        )
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        if value and all(character.isalnum() or character in "_-./: " for character in value):
            return value
    raise ValueError(
        f"--env-arg {text}: expected a number, True, False, None, a text, or a list or dictionary "
        "of them with its brackets and quotes closed"
    )


def thread_count(text: str) -> int:
    """A number of threads from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number >= 1")
    return int(text)


def pick_device(name: str | None) -> torch.device:
    """The device asked for, or CUDA where present.

    Raises:
        ValueError: if it is unknown or absent.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()  # "meta" holds no numbers
        if device.type == "cpu" and device.index not in (None, 0):
            raise RuntimeError("the CPU is one device")
    except (RuntimeError, AssertionError) as error:
        found = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise ValueError(
            f"--device {name}: not available here ({str(error).splitlines()[0][:200]}); "
            f"found: {', '.join(found)}"
        ) from error
    return device


def overrides(args: argparse.Namespace) -> list[str]:
    """Bindings of the command line, macros from its options last."""
    bindings = list(args.param)
    if args.task is not None:
        bindings.append(config.set_macro("task", args.task))
    if args.steps is not None:
        bindings.append(config.set_macro("steps", args.steps))
    if args.env_args:
        bindings.append(f"EnvOptions.arguments = {env_arguments(args.env_args)!r}")
    return bindings
