"""A trained agent as programs for plain torch: ``python -m mppi_zoo.export RUN_FOLDER``."""

import sys

from mppi_zoo.deploy.export import main

if __name__ == "__main__":
    sys.exit(main())
