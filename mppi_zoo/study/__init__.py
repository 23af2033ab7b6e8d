"""Studies: members x tasks x settings x seeds as one command, on one machine or on Slurm.

    python -m mppi_zoo.study studies/lambda_laptop.yaml --out results/lambda

A study is what to compare (:class:`mppi_zoo.study.grid.Study`); where it runs is not part of it.
Its folder holds ``study.yaml``, the run folders in ``runs/``, their output in ``logs/``, what
happened to each in ``journal/``, and the launcher's own files in ``jobs/``. The topmost room: it
may import all others, and no other imports it. Start with ``grid.py``.
"""

from mppi_zoo.study.file import find_study, read_study
from mppi_zoo.study.grid import RunPlan, Study, expand

__all__ = ["RunPlan", "Study", "expand", "find_study", "read_study"]
