"""Runs side by side on one page: ``python -m mppi_zoo.report RUN... --out report/``."""

import sys

from mppi_zoo.analysis.report import main

if __name__ == "__main__":
    sys.exit(main())
