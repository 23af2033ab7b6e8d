"""The options of ``python -m mppi_zoo.study``, and the study that they describe."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from mppi_zoo.analysis.published import FOLDER
from mppi_zoo.core.options import number
from mppi_zoo.core.ranges import Count, NonNegative, Positive, PositiveInt, Size, Threads
from mppi_zoo.runs.outcome import add_debug, add_version
from mppi_zoo.study.file import STUDY_FILE, find_study, read_study
from mppi_zoo.study.foreign import refuse_foreign
from mppi_zoo.study.gin_list import split_values
from mppi_zoo.study.grid import Cell, RunPlan, Study, numbered, plan
from mppi_zoo.study.space import Search, read_search, search_content

TRUST = "import the modules that the study's folder names, whoever wrote it"


def parser() -> argparse.ArgumentParser:
    """The options of the command that runs a study."""
    p = argparse.ArgumentParser(
        prog="python -m mppi_zoo.study",
        allow_abbrev=False,
        description="Run a study: members x tasks x settings x seeds. Give the same command again "
        "to go on. Also: status FOLDER, report FOLDER.",
    )
    what = p.add_argument_group("what to compare: a study file, or these")
    what.add_argument("study", nargs="?", help="YAML file, shipped study, or a study's folder")
    what.add_argument("--gin", action="append", default=[], metavar="FILE")
    what.add_argument("--members", metavar="A,B", help="instead of a first --gin")
    what.add_argument("--tasks", metavar="A,B")
    what.add_argument("--seeds", help="a number n for 1 to n, or a list such as 3,5,8")
    what.add_argument("--grid", action="append", default=[], metavar="NAME=[VALUES]")
    what.add_argument(
        "--search",
        action="append",
        default=[],
        metavar="NAME=RANGE",
        help="values to search, such as KLObjective.lam={low: 0.01, high: 10, log: true}",
    )
    what.add_argument(
        "--trials", type=number(Size), help="settings to try for each member and task"
    )
    what.add_argument("--param", action="append", default=[], metavar="BINDING")
    what.add_argument("--steps", type=number(PositiveInt), help="agent steps of each run")
    what.add_argument("--threads", type=number(Threads), help="CPU threads of each run; default: 1")
    what.add_argument(
        "--argument",
        action="append",
        default=[],
        metavar="=OPTION",
        help="an option of mppi_zoo.run for all runs, such as --argument=--compile; repeatable",
    )
    p.add_argument("--out", type=Path, help="the study's folder; default: runs/<name>")
    p.add_argument("--dry-run", action="store_true", help="list the runs and their commands")
    p.add_argument(
        "--speed", type=number(Positive), help="agent steps/s of a run, for --dry-run's forecast"
    )
    p.add_argument(
        "--force", action="store_true", help="change the study in the folder, and its runs"
    )
    p.add_argument("--trust", action="store_true", help=TRUST)
    p.add_argument(
        "--retries", type=number(Count), default=2, help="restarts of a failing run; default: 2"
    )
    here = p.add_argument_group("on this machine")
    here.add_argument(
        "--parallel", type=number(Size), help="runs at a time; default: one a core or by GPU"
    )
    here.add_argument("--gpus-used", metavar="0,1", help="default: all; none: the CPU")
    here.add_argument(
        "--runs-per-gpu", type=number(Size), default=1, help="runs that share a GPU; default: 1"
    )
    here.add_argument(
        "--segment-minutes",
        type=number(NonNegative),
        default=0.0,
        help="time after which a run stops, with a checkpoint, and others take their turn; must be "
        "longer than compilation",
    )
    here.add_argument(
        "--minutes",
        type=number(NonNegative),
        default=0.0,
        help="time after which all runs stop; the same command goes on",
    )
    cluster = p.add_argument_group("on Slurm")
    cluster.add_argument("--slurm", action="store_true", help="submit instead of running here")
    cluster.add_argument("--partition")
    cluster.add_argument(
        "--time", type=number(PositiveInt), metavar="MINUTES", help="limit of a job, then requeued"
    )
    cluster.add_argument("--gpus", type=number(Count), help="GPUs of a job; its runs share them")
    cluster.add_argument("--memory", type=number(Positive), metavar="GB", help="memory of a job")
    cluster.add_argument(
        "--runs-per-job", type=number(Size), default=1, help="runs that share a job; default: 1"
    )
    cluster.add_argument(
        "--at-once", type=number(Size), help="jobs of the array that run at a time"
    )
    cluster.add_argument(
        "--signal-delay",
        type=number(Count),
        default=120,
        metavar="S",
        help="signal before the limit, in s",
    )
    cluster.add_argument(
        "--sbatch",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a further sbatch option such as account=robots; repeatable",
    )
    cluster.add_argument("--wait", action="store_true", help="stay until no run is left")
    add_debug(p)
    add_version(p)
    return p


def status_parser() -> argparse.ArgumentParser:
    """The options of ``status``."""
    p = argparse.ArgumentParser(prog="python -m mppi_zoo.study status", allow_abbrev=False)
    p.add_argument("folder", type=Path)
    p.add_argument("--trust", action="store_true", help=TRUST)
    p.add_argument("--watch", action="store_true", help="until no run is under way")
    add_debug(p)
    return p


def report_parser() -> argparse.ArgumentParser:
    """The options of ``report``."""
    p = argparse.ArgumentParser(prog="python -m mppi_zoo.study report", allow_abbrev=False)
    p.add_argument("folder", type=Path)
    p.add_argument("--out", type=Path, help="folder of the page; default: report/ in the study")
    p.add_argument("--published", type=Path, default=FOLDER, help="published curves to show beside")
    add_debug(p)
    return p


def study_and_folder(args: argparse.Namespace) -> tuple[Study, Path]:
    """The study that the command line describes, and its folder.

    Raises:
        FileNotFoundError: there is no such study file.
        ValueError: the options do not describe a study.
    """
    path = None if args.study is None else find_study(args.study)
    if path is None:
        study = _described(args)
    else:
        study = read_study(path)
        if not args.trust:
            refuse_foreign(study, path, runs=True)
        study = _changed(study, args)
    if args.out is not None:
        return study, args.out
    if path is not None and path.name == STUDY_FILE:  # the folder of a study that was begun
        return study, path.parent
    return study, Path("runs") / (path.stem if path is not None else "study")


def _described(args: argparse.Namespace) -> Study:
    members, shared = words(args.members), list(args.gin)
    if not members:
        if not shared:
            raise ValueError("name a study file, or --gin MEMBER (or --members A,B) and --tasks")
        members, shared = [shared[0]], shared[1:]
    if not args.tasks:
        raise ValueError("--tasks is missing: such as --tasks dmc:walker-walk,dmc:cheetah-run")
    return Study(
        members=tuple(members),
        tasks=tuple(words(args.tasks)),
        gin=tuple(shared),
        seeds=_seeds(args.seeds or "1"),
        grid=dict(map(_grid, args.grid)),
        search=_searched(None, args),
        params=tuple(args.param),
        steps=args.steps,
        arguments=tuple(args.argument),
        threads=args.threads or 1,
    )


def _changed(study: Study, args: argparse.Namespace) -> Study:
    """The study of a file, changed by the further options of the command line."""
    given = {
        "members": tuple(words(args.members)),
        "tasks": tuple(words(args.tasks)),
        "seeds": _seeds(args.seeds) if args.seeds else (),
        "steps": args.steps,
        "threads": args.threads,
    }
    return replace(
        study,
        **{name: value for name, value in given.items() if value},
        gin=(*study.gin, *args.gin),
        params=(*study.params, *args.param),
        arguments=(*study.arguments, *args.argument),
        grid={**study.grid, **dict(map(_grid, args.grid))},
        search=_searched(study.search, args),
    )


def words(text: str | None) -> list[str]:
    """The words of a list such as ``a,b``."""
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def _seeds(text: str) -> tuple[int, ...]:
    try:
        numbers = [int(word) for word in words(text)]
    except ValueError:
        numbers = []
    if not numbers or ("," not in text and numbers[0] < 1):
        raise ValueError(f"--seeds {text}: expected a number of seeds such as 5, or a list 3,5,8")
    return tuple(numbers) if "," in text else numbered(numbers[0])


def _grid(text: str) -> tuple[str, tuple[str, ...]]:
    name, equals, values = text.partition("=")
    if not equals:
        raise ValueError(f"--grid {text}: expected NAME=[VALUES], such as KLObjective.lam=[0, 1]")
    return name.strip(), split_values(values)


def _searched(search: Search | None, args: argparse.Namespace) -> Search | None:
    """The search of a file, or none, with what the command line adds."""
    content = {} if search is None else search_content(search)
    if args.trials is not None:
        content["trials"] = args.trials
    for text in args.search:
        name, equals, values = text.partition("=")
        try:
            if not equals:
                raise ValueError("expected NAME=RANGE, such as KLObjective.lam={low: 0, high: 1}")
            ranges = {**content.get("parameters", {}), name.strip(): yaml.safe_load(values)}
        except (ValueError, yaml.YAMLError) as error:
            raise ValueError(f"--search {text}: {error}") from error
        content["parameters"] = ranges
    try:
        return read_search(content) if content else None
    except (TypeError, ValueError) as error:
        raise ValueError(f"search: {error}") from error


def forecast_search(study: Study, rows: Sequence[Cell]) -> tuple[str, list[RunPlan]]:
    """What a search will run at most: a text, and runs to count steps by."""
    assert study.search is not None
    ranges = [f"    {name}: {domain}" for name, domain in study.search.parameters.items()]
    lines, runs = [], []
    for cell in rows:
        first = {name: domain.ends[0] for name, domain in study.search.parameters.items()}
        runs += [plan(study, cell, s, 0, first) for s in study.seeds] * study.search.trials
        command = " ".join(runs[-1].arguments)
        count = f"{study.search.trials} trials with {len(study.seeds)} seed(s)"
        lines += [f"{cell.name}: {count} of", *ranges]
        lines += [f"    python -m mppi_zoo.run {command}"]
    return "\n".join(lines), runs


def difference(before: str, now: str) -> str:
    """The lines that differ, as a diff; empty if none do."""
    lines = difflib.unified_diff(
        before.splitlines(), now.splitlines(), "there", "now", lineterm="", n=0
    )
    return "\n".join(line for line in lines if not line.startswith("@@"))


def forecast(runs: Sequence[RunPlan], speed: float | None) -> str:
    """The number of runs and steps, and the hours that they take.

    Args:
        speed: agent steps/s of one run; None: leave the hours out.

    Raises:
        ValueError: the speed is not above 0.
    """
    total = sum(run.steps for run in runs)
    text = f"{len(runs)} runs, {total:,} agent steps"
    if speed is None:
        return text
    if speed <= 0:
        raise ValueError(f"--speed {speed}: expected agent steps/s above 0")
    return f"{text}: {total / speed / 3600:,.1f} hours, one after another at {speed:g} steps/s"
