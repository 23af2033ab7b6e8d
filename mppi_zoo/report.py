"""Runs side by side on one page: ``python -m mppi_zoo.report RUN... --out report/``."""

import sys

from mppi_zoo.runs.outcome import start


def main() -> int:
    """Run the command line; returns the exit code."""
    return start("mppi_zoo.analysis.report", "report")


if __name__ == "__main__":
    sys.exit(main())
