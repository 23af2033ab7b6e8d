"""The commands of ``python -m mppi_zoo.study``: run a study, watch it, report on it."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mppi_zoo.analysis import report
from mppi_zoo.core.extras import require
from mppi_zoo.runs import reader
from mppi_zoo.runs.atomic import write_text
from mppi_zoo.runs.lock import locked
from mppi_zoo.runs.outcome import DONE, SOME_FAILED, Attempt, conclude
from mppi_zoo.study import command_line, launching
from mppi_zoo.study.file import STUDY_FILE, find_study, read_study, study_text
from mppi_zoo.study.foreign import refuse_foreign
from mppi_zoo.study.grid import Cell, Study, cells, planned
from mppi_zoo.study.local import LocalLauncher
from mppi_zoo.study.search import Searcher, asked, runs_of, summaries
from mppi_zoo.study.search_section import search_section
from mppi_zoo.study.state import OVER, QUEUED, RUNNING, RunState, read_state
from mppi_zoo.study.table import Display, failures, table


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] == "status":
        args, command = command_line.status_parser().parse_args(arguments[1:]), _status
    elif arguments and arguments[0] == "report":
        args, command = command_line.report_parser().parse_args(arguments[1:]), _report
    else:
        args, command = command_line.parser().parse_args(arguments), _run
    return conclude(lambda attempt: command(args, attempt), debug=args.debug)


def _run(args: argparse.Namespace, attempt: Attempt) -> int:
    # the runs
    study, folder = command_line.study_and_folder(args)
    if study.search is not None:
        require("sweep")
    rows = cells(study)
    runs = planned(study, rows)
    if args.dry_run:
        for run in runs:
            print(f"{run.name}\n    python -m mppi_zoo.run {' '.join(run.arguments)}")
        if study.search is not None:
            text, runs = command_line.forecast_search(study, rows)
            print(text)
        print(command_line.forecast(runs, args.speed))
        return DONE
    reader.refuse_links(folder)
    launcher = launching.launcher(args, folder, study, runs)
    with contextlib.ExitStack() as stack:
        if study.search is not None:
            asked(study, folder, rows)  # refuses a journal that cannot be used
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(folder, "search"))
        _keep(study, folder, args.force)
        attempt.begun, attempt.advice = True, lambda: "the same command goes on"
        if isinstance(launcher, LocalLauncher):
            return _here(launcher, study, folder, rows, args.minutes)
    # on Slurm
    submitted = launcher.submit()
    print(
        f"{len(submitted)} of {len(runs)} runs submitted; python -m mppi_zoo.study status {folder}"
    )
    if not args.wait:
        return DONE
    with Display() as display:
        states = launcher.states()
        while any(state.state in (RUNNING, QUEUED) for state in states):
            display(states)
            time.sleep(5)
            states = launcher.states()
        display(states)
    return _conclude(states, folder)


def _here(
    launcher: LocalLauncher, study: Study, folder: Path, rows: Sequence[Cell], minutes: float
) -> int:
    """Run the study on this machine, until all its runs have ended."""
    search = None if study.search is None else Searcher(study, folder, rows)
    with Display() as display:
        states = launcher.run(display, minutes, search)
    if search is not None:
        print("\n".join(summaries(search.search, search.asked)))
    return _conclude(states, folder)


def _keep(study: Study, folder: Path, force: bool) -> None:
    """Write the study into its folder, unless that holds another one.

    Raises:
        ValueError: it does, and ``force`` is not given; shows the difference.
    """
    path, text = folder / STUDY_FILE, study_text(study)
    if path.is_file():
        difference = command_line.difference(study_text(read_study(path)), text)
        if difference and not force:
            raise ValueError(
                f"{folder} holds another study:\n{difference}\nName another --out, or use --force "
                "to change the study in it: runs that are no longer part of it stay on disk, but "
                "are left out of its report"
            )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, text)


def _conclude(states: list[RunState], folder: Path) -> int:
    text = failures(states)
    if text:
        print(text, file=sys.stderr)
    if all(state.state in OVER for state in states):
        print(f"all {len(states)} runs are done; python -m mppi_zoo.study report {folder}")
        return DONE
    print("not all runs are done; the same command tries the others again", file=sys.stderr)
    return SOME_FAILED


def _opened(folder: Path) -> tuple[Study, Path]:
    if not (folder / STUDY_FILE).is_file():
        raise FileNotFoundError(f"{folder} is not a study's folder: it has no {STUDY_FILE}")
    path = find_study(str(folder))
    return read_study(path), path


def _states(study: Study, folder: Path, rows: Sequence[Cell]) -> list[RunState]:
    runs = [*planned(study, rows), *runs_of(study, asked(study, folder, rows))]
    alive = launching.alive(folder)  # one function for all runs, so that Slurm is asked once
    return [read_state(folder, run, alive) for run in runs]


def _status(args: argparse.Namespace, attempt: Attempt) -> int:
    study, path = _opened(args.folder)
    if not args.trust:
        refuse_foreign(study, path, runs=False)
    rows = cells(study)
    states = _states(study, args.folder, rows)
    if args.watch:
        with Display() as display:
            while any(state.state in (RUNNING, QUEUED) for state in states):
                display(states)
                time.sleep(5)
                states = _states(study, args.folder, rows)
    Console().print(table(states))
    if study.search is not None:
        print("\n".join(summaries(study.search, asked(study, args.folder, rows))))
    text = failures(states)
    if text:
        print(text)
    return DONE


def _report(args: argparse.Namespace, attempt: Attempt) -> int:
    study, _ = _opened(args.folder)
    rows = cells(study, parsed=False)
    found = asked(study, args.folder, rows)
    runs = [*planned(study, rows), *runs_of(study, found)]
    places = [Path("runs") / run.name for run in runs]
    folders = [
        args.folder / place for place in places if reader.inside(args.folder, place).is_dir()
    ]
    if not folders:
        raise ValueError(f"no run of {args.folder} has begun")
    out = args.out or reader.inside(args.folder, "report")
    title = study.title or args.folder.resolve().name
    sections = [] if study.search is None else [search_section(study.search, found)]
    print(report.build(folders, out, title, args.published, sections))
    return DONE
