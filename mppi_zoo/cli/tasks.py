"""``python -m mppi_zoo.tasks [PATTERN]``: the tasks that are installed, and what they are like.

A pattern is a text that the task contains, or a shell pattern: ``walker``, ``'ep:MetaWorld/*'``.
Tasks whose actions or observations agents cannot use (discrete actions, images) are counted only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mppi_zoo.envs.listing import TaskFacts, describe, installed, matching
from mppi_zoo.runs.outcome import DONE, REFUSED, Attempt, add_debug, conclude

HEAD = f"{'task':<48}{'observation':>12}{'action':>8}{'time limit':>12}{'repeat':>8}  ends early"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m mppi_zoo.tasks",
        allow_abbrev=False,
        description="List the tasks that are installed, with the sizes of observation and action, "
        "the time limit in environment steps, the action repeat, and whether an episode can end "
        "before its time limit.",
    )
    parser.add_argument("pattern", nargs="?", default="", help="a text or a shell pattern")
    parser.add_argument(
        "--unusable", action="store_true", help="also show the tasks that cannot be used, and why"
    )
    add_debug(parser)
    args = parser.parse_args(argv)

    def body(attempt: Attempt) -> int:
        return show(args.pattern, args.unusable)

    return conclude(body, debug=args.debug)


def show(pattern: str, unusable: bool) -> int:
    """Print the tasks that match, each as soon as it is known; returns the exit code."""
    tasks, missing = installed()
    found = matching(tasks, pattern)
    if found:
        print(HEAD)
    reasons: dict[str, str] = {}
    for task in found:
        try:
            print(line(task, describe(task)), flush=True)
        except Exception as error:  # simulators and their packages fail in many ways
            reasons[task] = " ".join(str(error).split()) or type(error).__name__
    if reasons and unusable:
        print("\ncannot be used:")
        for task, reason in reasons.items():
            print(f"{task}: {reason}")
    elif reasons:
        print(f"{len(reasons)} more cannot be used; --unusable shows them, and why")
    for suite, reason in missing.items():
        if not pattern or pattern.lower().startswith(suite):
            print(f"no {suite}: {reason}", file=sys.stderr)
    if not found:
        print(f"error: no task matches {pattern!r}; {len(tasks)} are installed", file=sys.stderr)
        return REFUSED
    return DONE


def line(task: str, facts: TaskFacts) -> str:
    """A row of the table."""
    limit = "none" if facts.time_limit is None else f"{facts.time_limit:,}"
    return (
        f"{task:<48}{facts.obs_dim:>12}{facts.action_dim:>8}{limit:>12}{facts.action_repeat:>8}"
        f"  {'yes' if facts.episodic else 'no'}"
    )
