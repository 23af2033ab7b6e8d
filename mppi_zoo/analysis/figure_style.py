"""How figures look: matplotlib settings, canvases, axes of steps, curves with bands, legends.

Figures are made without pyplot, so that there is no global state and no display is needed.
"""

# pandas annotates frame[mask] as a series and group keys as any scalar, which fails these checks:
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from mppi_zoo.analysis import names, schema

RC = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "legend.fontsize": 10.5,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E2E2E2",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "lines.linewidth": 2,
    "text.parse_math": False,  # a $ in a name is a $
    "svg.hashsalt": "mppi_zoo",  # equal figures give equal files
}


def canvas(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> Any:
    """A figure and its axes [rows, columns]."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def styled(make: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw with the settings ``RC``, whatever the user's own are."""

    def drawn(*arguments: Any, **options: Any) -> Figure:
        with matplotlib.rc_context({**matplotlib.rcParamsDefault, **RC, "backend": "agg"}):
            return make(*arguments, **options)

    drawn.__doc__, drawn.__name__ = make.__doc__, make.__name__
    return drawn


def step_axis(axes: Axes, unit: str) -> None:
    """Label and format the axis of steps."""
    axes.set_xlabel(schema.STEP_UNITS[unit])
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_major_locator(MaxNLocator(5))


def line(axes: Axes, points: pd.DataFrame, style: names.Style, **options: Any) -> None:
    """One curve with its interval shaded."""
    steps = points["step"].to_numpy()
    look = {"color": style.colour, "linestyle": style.line, "marker": style.marker}
    look |= {"markersize": 5, "markevery": max(1, len(steps) // 8), "zorder": 3}
    axes.plot(steps, points["value"].to_numpy(), **{**look, **options})
    low, high = points["low"].to_numpy(float), points["high"].to_numpy(float)
    if np.isfinite(low).any():
        axes.fill_between(steps, low, high, color=style.colour, alpha=0.15, linewidth=0, zorder=2)


def legend(figure: Figure, entries: Sequence[tuple[str, names.Style]], columns: int = 2) -> None:
    """One legend for all axes, below them; long entries are wrapped, the figure grows with them."""
    width, height = figure.get_size_inches()
    entries = [
        (textwrap.fill(text, int(13 * width / columns) - 8), style) for text, style in entries
    ]
    extra = sum(text.count("\n") for text, _ in entries)
    figure.set_size_inches(width, height + 0.2 * extra)
    handles = [
        Line2D([], [], color=s.colour, linestyle=s.line, marker=s.marker, label=text)
        for text, s in entries
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)
