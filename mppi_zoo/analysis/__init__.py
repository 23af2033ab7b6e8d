"""From run folders and published files to the comparisons that a paper shows.

>>> from mppi_zoo import analysis
>>> runs = analysis.load_runs(["runs"])
>>> returns = analysis.evaluations(runs.table)
>>> curves = analysis.curves(returns, "agent_step")

The table's columns are in :mod:`mppi_zoo.analysis.schema`. Robots, step units and sources are never
mixed: functions raise :class:`MixedError` or keep them as separate series. May import every room
but ``study`` and ``cli``, and uses ``runs`` and ``config``. Start with ``runs.py``.
"""

from mppi_zoo.core.extras import require

require("report")

from mppi_zoo.analysis.aggregate import (
    areas,
    common_step,
    curves,
    evaluations,
    on_grid,
    scores_at,
)
from mppi_zoo.analysis.over_tasks import (
    by_task,
    estimates,
    improvements,
    mean_over_tasks,
    sample_efficiency,
)
from mppi_zoo.analysis.published import (
    HARD,
    SOURCES,
    load_published,
    load_wall_times,
    without_copies,
)
from mppi_zoo.analysis.run import Run
from mppi_zoo.analysis.runs import Runs, load_runs
from mppi_zoo.analysis.schema import MixedError, combine, pick

__all__ = [
    "HARD",
    "SOURCES",
    "MixedError",
    "Run",
    "Runs",
    "areas",
    "by_task",
    "combine",
    "common_step",
    "curves",
    "estimates",
    "evaluations",
    "improvements",
    "load_published",
    "load_runs",
    "load_wall_times",
    "mean_over_tasks",
    "on_grid",
    "pick",
    "sample_efficiency",
    "scores_at",
    "without_copies",
]
