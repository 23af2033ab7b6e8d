"""Train or evaluate: ``python -m mppi_zoo.run --gin gin/tdmpc2_equiv.gin``."""

import sys

from mppi_zoo.compute.threads import wait_passively

wait_passively()  # before torch is imported, as the next line does

from mppi_zoo.cli.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
