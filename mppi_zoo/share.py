"""Trained agents that travel: ``python -m mppi_zoo.share push|pull REPO``, ``bundle RUN...``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mppi_zoo.deploy.bundle import bundle
from mppi_zoo.deploy.sharing import pull, push
from mppi_zoo.runs.outcome import DONE, Attempt, add_debug, add_version, conclude


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m mppi_zoo.share", allow_abbrev=False, description=__doc__
    )
    add_version(parser)
    commands = parser.add_subparsers(dest="command", required=True)
    where = "OWNER/NAME on the Hugging Face Hub, or a folder: a path that begins with . / or ~"
    give = commands.add_parser("push", help="write a run's agent to a repository")
    give.add_argument("repo", help=where)
    give.add_argument("--run", type=Path, required=True, help="run folder")
    take = commands.add_parser("pull", help="make a run folder of a repository's agent")
    take.add_argument("repo", help=where)
    take.add_argument("--out", type=Path, required=True, help="the run folder to make")
    take.add_argument("--offline", action="store_true", help="from the client's cache alone")
    pack = commands.add_parser("bundle", help="write finished runs' agents into an archive")
    pack.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder")
    pack.add_argument("--out", type=Path, required=True, help="file to make, NAME.tar.gz")
    for command in (give, pack):
        command.add_argument("--last", action="store_true", help="the last agent, not the best")
        command.add_argument("--license", default="mit", help="of the weights; default: mit")
    for command in (give, take, pack):
        add_debug(command)
    args = parser.parse_args(argv)

    def body(attempt: Attempt) -> int:
        if args.command == "push":
            print(push(args.run, args.repo, best=not args.last, license=args.license))
        elif args.command == "bundle":
            print(bundle(args.runs, args.out, best=not args.last, license=args.license))
        else:
            print(pull(args.repo, args.out, offline=args.offline))
        return DONE

    return conclude(body, debug=args.debug)


if __name__ == "__main__":
    sys.exit(main())
