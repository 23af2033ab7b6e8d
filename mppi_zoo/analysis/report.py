"""Runs side by side on one static page: ``python -m mppi_zoo.report RUN... --out report/``.

The page is one file that needs no server and refers to nothing outside itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mppi_zoo.analysis import html, schema
from mppi_zoo.analysis.names import count
from mppi_zoo.analysis.published import FOLDER, load_published
from mppi_zoo.analysis.run_sections import (
    alarms_section,
    configuration_section,
    diagnostics_section,
    speed_section,
    videos_section,
)
from mppi_zoo.analysis.runs import load_runs
from mppi_zoo.analysis.sections import (
    aggregates_section,
    curves_section,
    published_section,
    runs_section,
    scores_section,
)
from mppi_zoo.analysis.success import success_section
from mppi_zoo.runs.atomic import write_text
from mppi_zoo.runs.outcome import DONE, Attempt, add_debug, add_version, conclude, describe


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="python -m mppi_zoo.report", allow_abbrev=False, description=__doc__
    )
    result.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="run folders, or folders of run folders"
    )
    result.add_argument("--out", type=Path, default=Path("report"), help="folder of the page")
    result.add_argument("--title", default="", help="title of the page; default: the tasks")
    result.add_argument(
        "--published",
        type=Path,
        default=FOLDER,
        help="folder of the published curves; those of the repository by default",
    )
    add_debug(result)
    add_version(result)
    return result


def build(
    runs: Sequence[Path],
    out: Path,
    title: str = "",
    published_folder: Path = FOLDER,
    first: Sequence[html.Section] = (),
) -> Path:
    """Writes ``out/index.html``.

    Args:
        runs: run folders, or folders of run folders.
        title: of the page; by default the tasks.
        published_folder: with the published curves.
        first: sections to show before all others.

    Returns:
        The file.

    Raises:
        ValueError: none of the folders can be used; gives the reason for each.
    """
    found = load_runs(runs)
    if not found.runs:
        reasons = "; ".join(f"{folder}: {reason}" for folder, reason in found.skipped.items())
        raise ValueError(f"no run to report on: {reasons or 'the folders are empty'}")
    published = load_published(folder=published_folder) if published_folder.is_dir() else None
    if published is None:
        found.notes.append(f"no published curves at {published_folder}: shown without them")
    curves = schema.empty() if published is None else published
    sections = [
        _guarded("Runs", lambda: runs_section(found)),
        _guarded("Alarms", lambda: alarms_section(found)),
        _guarded("Learning curves", lambda: curves_section(found, curves)),
        _guarded("Success rates", lambda: success_section(found)),
        _guarded("Against published curves", lambda: published_section(found, curves)),
        _guarded("Aggregates", lambda: aggregates_section(found)),
        _guarded("Final scores", lambda: scores_section(found)),
        _guarded("Diagnostics", lambda: diagnostics_section(found)),
        _guarded("Speed", lambda: speed_section(found)),
        _guarded("Configurations", lambda: configuration_section(found)),
        _guarded("Evaluation videos", lambda: videos_section(found)),
    ]
    tasks = sorted({run.record["task"] for run in found.runs})
    labels = list(dict.fromkeys(run.label for run in found.runs))
    lead = (
        f"{count(len(found.runs), 'run')} of {count(len(labels), 'method')} on "
        f"{count(len(tasks), 'task')}; {count(len(found.skipped), 'folder')} skipped."
    )
    name = title or ", ".join(tasks if len(tasks) <= 3 else [*tasks[:3], "…"])
    text = html.page(
        name, lead, [*first, *(section for section in sections if section is not None)]
    )
    out.mkdir(parents=True, exist_ok=True)
    file = out / "index.html"
    # names may hold what UTF-8 cannot, from JSON or from the file system
    write_text(file, text.encode("utf-8", "replace").decode())
    for folder, reason in found.skipped.items():
        print(f"skipped {folder}: {reason}", file=sys.stderr)
    return file


def _guarded(title: str, make: Callable[[], html.Section | None]) -> html.Section | None:
    """A section, or in its place why it could not be made: the others do not depend on it."""
    try:
        return make()
    except Exception as error:  # whatever the runs' files hold
        section = html.Section(title)
        section.text(f"This section could not be made: {describe(error)}.")
        print(f"no section {title!r}: {describe(error)}", file=sys.stderr)
        return section


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = parser().parse_args(argv)

    def body(attempt: Attempt) -> int:
        file = build(args.runs, args.out, args.title, args.published)
        print(f"{file} ({file.stat().st_size / 2**20:.1f} MiB)")
        return DONE

    return conclude(body, debug=args.debug)
