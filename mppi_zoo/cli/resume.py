"""Taking up a run: what it was started with, and what may be different now."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mppi_zoo.config import trust
from mppi_zoo.config.bindings import read_bindings
from mppi_zoo.config.gin_config import is_default
from mppi_zoo.config.renames import upgrade
from mppi_zoo.runs import folder as run_folder
from mppi_zoo.runs import reader
from mppi_zoo.runs.atomic import write_text

# Options of the command line that a run keeps, and their values where nobody gives one.
KEPT: dict[str, Any] = {
    "seed": 1,
    "num_envs": 1,
    "async_envs": False,
    "eval_env": "own",
    "device": None,
    "threads": None,  # by rule, as "compile" is: cli/machine.py
    "compile": None,
    "graphs": False,
    "no_video": False,
    "wandb": None,
    "imports": [],
}
FIXED = ("seed", "num_envs")  # what a run's state is made of
EXACT = ("device", "threads", "compile", "graphs")  # what changes the last digits


def settle(args: argparse.Namespace) -> dict[str, Any] | None:
    """Fill in the options that the command line leaves out: from the run to resume, or defaults.

    Also sets ``args.changed``: options that change the last digits, where they differ from the
    run's.

    Returns:
        The record of the run to resume; None for a new one.

    Raises:
        FileNotFoundError: there is no such run.
        ValueError: it cannot be resumed with these options.
    """
    # which run
    if args.continued:
        if args.out is None:
            raise ValueError("--continue needs --out FOLDER: the run to resume, or to start there")
        if args.resume is None and (args.out / run_folder.RUN_FILE).is_file():
            args.resume = args.out
    if args.resume is None:
        if not args.gin:
            raise ValueError("--gin FILE is missing: name a member, or a run with --resume FOLDER")
        before = {}
        record = None
    else:
        if args.eval or (args.out not in (None, args.resume)):
            raise ValueError(
                "--resume goes on in the run's own folder: no --out, no --eval with it"
            )
        record = run_folder.read(args.resume)
        reader.refuse_links(args.resume)
        before = record.get("options")
        if before is None:
            raise ValueError(
                f"{args.resume} was written by a version of mppi_zoo that kept no checkpoints: "
                "start a new run with --init-from this folder"
            )
        _check(args.resume / run_folder.RUN_FILE, record)

    # what the command line gives against what the run has
    for name in FIXED:
        given = getattr(args, name)
        if given is not None and name in before and given != before[name]:
            raise ValueError(
                f"--{name.replace('_', '-')} {given}: the run in {args.resume} has "
                f"{before[name]}, which cannot change"
            )
    args.changed = [
        f"--{name}: {before[name]} -> {getattr(args, name)}"
        for name in EXACT
        if name in before and getattr(args, name) not in (None, before[name])
    ]

    args.imports = _imports(args, before)

    # what the command line leaves out
    for name, default in KEPT.items():
        if getattr(args, name) is None:
            setattr(args, name, before.get(name, default))
    return record


def _imports(args: argparse.Namespace, before: dict[str, Any]) -> list[str]:
    """What is imported: without --trust, only what the command line names."""
    recorded, given = trust.modules_of_record(before), args.imports or []
    if not args.trust:
        trust.refuse_modules(recorded, f"{args.resume}/{run_folder.RUN_FILE}", given)
    return [*given, *(module for module in recorded if module not in given)]


def command(folder: Path, imports: Sequence[str], task: str) -> str:
    """The command that takes up a run, which names what it imports."""
    modules = [*imports, *filter(None, [trust.task_module(task)])]
    named = "".join(f" --import {module}" for module in dict.fromkeys(modules))
    return f"python -m mppi_zoo.run --resume {folder}{named}"


def _check(file: Path, record: dict[str, Any]) -> None:
    """Refuse a record that lacks what resuming needs."""
    for name, kind in (("member", str), ("options", dict), ("versions", dict)):
        if not isinstance(record.get(name), kind):
            raise ValueError(f"{file} has no usable {name}: restore it")


def options(args: argparse.Namespace, device: str) -> dict[str, Any]:
    """What ``run.json`` keeps of the options."""
    return {**{name: getattr(args, name) for name in KEPT}, "device": device}


def accept(folder: Path, operative: str, changed: list[str], force: bool) -> str:
    """Compare the configuration with that of the run to take up, setting by setting.

    Returns:
        The differences, empty if there are none.

    Raises:
        ValueError: there are, and ``force`` is not given; shows them. Or the run's configuration
            is damaged.
    """
    text = reader.read_text(folder, run_folder.CONFIG_FILE)
    try:
        before = read_bindings(upgrade(text))
    except ValueError as error:
        file = folder / run_folder.CONFIG_FILE
        raise ValueError(f"{file} is damaged ({error}): restore it") from error
    difference = "\n".join([*_differences(before, read_bindings(operative)), *changed])
    if difference and not force:
        raise ValueError(
            f"the configuration differs from that of the run in {folder}:\n{difference}\n"
            "With --force the run goes on with the new one"
        )
    return difference


def _differences(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Lines as of a unified diff; a parameter that came since, at its default, is no difference."""
    lines: list[str] = []
    for name in sorted(before.keys() | now.keys()):
        if name not in before and is_default(name, now[name]):
            continue
        if before.get(name) != now.get(name):
            lines += [f"-{name} = {before[name]}"] if name in before else []
            lines += [f"+{name} = {now[name]}"] if name in now else []
    return ["--- the run", "+++ now", *lines] if lines else []


def keep_config(folder: Path, operative: str, step: int) -> None:
    """Replace the run's configuration; the one before stays beside it, named by the step."""
    current = folder / run_folder.CONFIG_FILE
    before = current.read_text(encoding="utf-8")
    if before != operative:
        write_text(folder / f"config_until_{step}.gin", before)
        write_text(current, operative)
