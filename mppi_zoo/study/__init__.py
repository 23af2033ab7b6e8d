"""Studies: members x tasks x settings x seeds as one command, on one machine or on Slurm.

    python -m mppi_zoo.study studies/lambda_laptop.yaml --out results/lambda

A study is what to compare (:class:`mppi_zoo.study.grid.Study`); where it runs is not part of it.
Its folder holds ``study.yaml``, the run folders in ``runs/``, their output in ``logs/``, what
happened to each in ``journal/``, what a search asked and was told in ``search.log``, and the
launcher's own files in ``jobs/``. The topmost room: it may import all others, and no other imports
it. Start with ``grid.py``.

The names below are imported when first used, since they need the extra ``train``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mppi_zoo.core.extras import require

if TYPE_CHECKING:
    from mppi_zoo.study.file import find_study, read_study
    from mppi_zoo.study.grid import RunPlan, Study, expand

_HOME = {
    "RunPlan": "grid",
    "Study": "grid",
    "expand": "grid",
    "find_study": "file",
    "read_study": "file",
}

__all__ = ["RunPlan", "Study", "expand", "find_study", "read_study"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(
            f"module 'mppi_zoo.study' has no attribute {name!r}; it has {', '.join(__all__)}"
        )
    require("train", "a study")
    return getattr(importlib.import_module(f"mppi_zoo.study.{_HOME[name]}"), name)
