"""``python -m mppi_zoo.tasks [PATTERN]``: see :mod:`mppi_zoo.cli.tasks`."""

import sys

from mppi_zoo.cli.tasks import main

if __name__ == "__main__":
    sys.exit(main())
