"""Train or evaluate: ``python -m mppi_zoo.run --gin gin/tdmpc2_equiv.gin``."""

import sys

from mppi_zoo.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
