"""Run, watch or report a study: ``python -m mppi_zoo.study studies/lambda_laptop.yaml``."""

import sys

from mppi_zoo.runs.outcome import start


def main() -> int:
    """Run the command line; returns the exit code."""
    return start("mppi_zoo.study.commands", "train", "report")


if __name__ == "__main__":
    sys.exit(main())
