"""The figures of a paper, from the tables of ``aggregate.py`` and ``over_tasks.py``.

Each function returns a matplotlib figure.
"""

# pandas annotates frame[mask] as a series and group keys as any scalar, which fails these checks:
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from mppi_zoo.analysis import names, schema, statistics
from mppi_zoo.analysis.figure_style import RC as RC  # users set its "figure.dpi" and others
from mppi_zoo.analysis.figure_style import canvas, legend, line, step_axis, styled
from mppi_zoo.analysis.learning_curve import GREY
from mppi_zoo.analysis.over_tasks import by_task
from mppi_zoo.analysis.schema import SERIES, WHERE

Key = tuple[str, str]


def _counted(style: names.Style, part: pd.DataFrame, seeds_too: bool = True) -> str:
    """Label with seeds and the meaning of the band."""
    counts = part["seeds"].dropna()
    seeds = names.seeds(None if counts.empty else int(counts.min()))
    if len(counts) and counts.min() != counts.max():
        seeds = f"{int(counts.min())} to {int(counts.max())} seeds"
    facts = [seeds] if seeds_too else []
    facts += [kind for kind in part["interval"].unique() if kind]
    return f"{style.label} ({'; '.join(facts)})" if facts else style.label


@styled
def learning_curves(
    curves: pd.DataFrame,
    unit: str,
    *,
    quantity: str = "episode return",
    columns: int = 3,
    limit: float | None = None,
    extra: Sequence[tuple[pd.DataFrame, str]] = (),
) -> Figure:
    """A panel for each task, with a curve and its interval for each algorithm.

    Args:
        curves: of :func:`aggregate.curves`.
        unit: of their steps.
        quantity: label of the y axis.
        columns: panels in a row.
        limit: largest step of the x axis.
        extra: further (curves, name), drawn thin and dotted in the same colours, e.g. those of the
            bare policy.
    """
    # one panel for each task
    tasks = list(dict.fromkeys(curves[WHERE].itertuples(index=False, name=None)))
    columns = min(columns, len(tasks))
    rows = math.ceil(len(tasks) / columns)
    styles = names.styles(curves[SERIES].itertuples(index=False, name=None))
    width = 7.5 if columns == 1 else 3.6 * columns
    height = (3.6 if columns == 1 else 2.7) * rows + 0.5 + 0.25 * len(styles) / (1 + (columns > 1))
    figure, axes = canvas(width, height, rows, columns)
    for panel, task in zip(axes.flat, tasks, strict=False):
        here = curves[(curves[WHERE] == list(task)).all(axis=1)]
        for key, part in here.groupby(SERIES, sort=False):
            line(panel, part, styles[key])
        for table, _ in extra:
            same = table[(table[WHERE] == list(task)).all(axis=1)]
            for key, part in same.groupby(SERIES, sort=False):
                if key in styles:
                    thin = {"linewidth": 1.3, "linestyle": (0, (1, 1)), "marker": ""}
                    look = styles[key]
                    panel.plot(part["step"], part["value"], color=look.colour, zorder=2, **thin)
        benchmark, robot, name = task
        panel.set_title(name if robot == "own" else f"{robot}: {name}", loc="left")
        step_axis(panel, unit)
        _returns_axis(panel, benchmark, quantity, limit)
        if panel not in axes[:, 0]:
            panel.set_ylabel("")
    for panel in axes.flat[len(tasks) :]:
        panel.set_visible(False)
    # one legend for all panels
    entries = []
    for key, part in curves.groupby(SERIES, sort=False):
        style = styles[key]
        entries.append((_counted(style, part), style))
    entries += [(text, names.Style(text, GREY, (0, (1, 1)), "")) for _, text in extra]
    legend(figure, entries, 1 if columns < 3 else 2)
    return figure


def _returns_axis(axes: Axes, benchmark: str, quantity: str, limit: float | None) -> None:
    axes.set_ylabel(quantity)
    if limit is not None:
        axes.set_xlim(0, limit)
    elif axes.get_xlim()[0] > -0.2 * axes.get_xlim()[1]:
        axes.set_xlim(left=0)
    if benchmark in schema.RETURN_RANGE and quantity == "episode return":
        low, high = schema.RETURN_RANGE[benchmark]
        axes.set_ylim(low, high)


@styled
def interval_bars(tables: Mapping[str, pd.DataFrame], quantity: str = "episode return") -> Figure:
    """Estimates of :func:`over_tasks.estimates` with intervals, a panel for each statistic."""
    series = [k for t in tables.values() for k in t[SERIES].itertuples(index=False, name=None)]
    styles = names.styles(series)
    order = list(styles)[::-1]
    named = [textwrap.fill(styles[key].label, 48) for key in order]
    longest = max(len(part) for text in named for part in text.split("\n"))
    width = 0.085 * longest + 3.0 * len(tables)
    lines = 1 + max(text.count("\n") for text in named)
    figure, axes = canvas(
        width, 0.9 + (0.22 + 0.2 * lines) * len(order), 1, len(tables), sharey=True
    )
    for panel, (title, table) in zip(axes.flat, tables.items(), strict=True):
        for row in table.itertuples():
            style = styles[(row.source, row.algorithm)]
            at = order.index((row.source, row.algorithm))
            if np.isfinite(row.low):
                span = [row.low, row.high]
                panel.plot(span, [at, at], color=style.colour, linewidth=9, alpha=0.35)
            panel.plot([row.value], [at], "|", color=style.colour, markersize=15, markeredgewidth=3)
        panel.set_title(title, loc="left")
        panel.set_yticks(range(len(order)), named)
        panel.set_ylim(-0.6, len(order) - 0.4)
        panel.grid(axis="y", visible=False)
        panel.set_xlabel(quantity)
        panel.xaxis.set_major_locator(MaxNLocator(5))
    return figure


def _size(tasks: int, runs: int) -> str:
    return f"{names.count(tasks, 'task')}, {names.count(runs, 'run')}"


@styled
def profiles(scores: pd.DataFrame) -> Figure:
    """Performance profiles: share of runs above each return, with bootstrap intervals."""
    found = by_task(scores)
    styles = names.styles(found)
    benchmark = str(scores["benchmark"].iloc[0])
    values = scores["value"]
    low, high = schema.RETURN_RANGE.get(benchmark, (float(values.min()), float(values.max())))
    thresholds = np.linspace(low, high, 101)
    figure, axes = canvas(7.5, 3.6 + 0.25 * len(found))
    entries = []
    for key, tasks in found.items():
        share = statistics.bootstrap(
            lambda s: statistics.performance_profile(s, thresholds),
            list(tasks.values()),
            repetitions=500,
        )
        points = {"step": thresholds, "value": share.value, "low": share.low, "high": share.high}
        plain = styles[key]._replace(marker="")
        line(axes.flat[0], pd.DataFrame(points), plain)
        entries.append(
            (f"{plain.label} ({_size(len(tasks), sum(map(len, tasks.values())))})", plain)
        )
    axes.flat[0].set(xlabel="episode return τ", ylabel="share of runs with a return > τ")
    axes.flat[0].set_ylim(0, 1.02)
    axes.flat[0].set_xlim(low, high)
    legend(figure, entries, 1 if len(entries) < 4 else 2)
    return figure


@styled
def improvement_bars(pairs: pd.DataFrame) -> Figure:
    """P(X > Y) for pairs of algorithms, of :func:`over_tasks.improvements`."""
    keys = [key for row in pairs.itertuples() for key in (row.x, row.y)]
    styles = names.styles(keys)
    texts = [f"{styles[row.x].label}  >  {styles[row.y].label}" for row in pairs.itertuples()]
    texts = [textwrap.fill(text, 64) for text in texts]
    width = 4 + 0.078 * max(len(part) for text in texts for part in text.split("\n"))
    lines = 1 + max(text.count("\n") for text in texts)
    figure, axes = canvas(width, 0.9 + (0.2 + 0.2 * lines) * len(pairs))
    panel = axes.flat[0]
    for at, row in enumerate(pairs.itertuples()):
        colour = styles[row.x].colour
        panel.plot([row.low, row.high], [at, at], color=colour, linewidth=9, alpha=0.35)
        panel.plot([row.value], [at], "|", color=colour, markersize=15, markeredgewidth=3)
    panel.axvline(0.5, color=GREY, linewidth=1, linestyle="--")
    panel.set_yticks(range(len(texts)), texts)
    panel.set_ylim(len(texts) - 0.4, -0.6)
    panel.set_xlim(-0.02, 1.02)
    panel.grid(axis="y", visible=False)
    panel.set_xlabel("probability that a run of the first has the higher return")
    return figure


@styled
def efficiency(points: pd.DataFrame, unit: str, quantity: str) -> Figure:
    """Sample-efficiency curves of :func:`over_tasks.sample_efficiency`."""
    styles = names.styles(points[SERIES].itertuples(index=False, name=None))
    figure, axes = canvas(7.5, 3.6 + 0.25 * len(styles))
    entries = []
    for key, part in points.groupby(SERIES, sort=False):
        style = styles[key]
        line(axes.flat[0], part, style)
        size = _size(int(part["tasks"].max()), int(part["runs"].max()))
        entries.append((f"{style.label} ({size})", style))
    step_axis(axes.flat[0], unit)
    axes.flat[0].set_ylabel(quantity)
    axes.flat[0].set_xlim(left=0)
    legend(figure, entries, 1 if len(entries) < 4 else 2)
    return figure


@styled
def panels(
    tables: Mapping[str, pd.DataFrame],
    unit: str,
    *,
    columns: int = 3,
    logarithmic: frozenset = frozenset(),
    legend_seeds: bool = True,
) -> Figure:
    """A panel for each quantity of one task.

    Args:
        tables: title of the panel -> curves of :func:`aggregate.curves`.
        unit: of their steps.
        columns: panels in a row.
        logarithmic: titles of the panels with a logarithmic y axis.
        legend_seeds: whether the legend gives the number of seeds.
    """
    everything = pd.concat(tables.values(), ignore_index=True)
    styles = names.styles(everything[SERIES].itertuples(index=False, name=None))
    columns = min(columns, len(tables))
    rows = math.ceil(len(tables) / columns)
    height = (3.4 if columns == 1 else 2.7) * rows + 0.5 + 0.27 * len(styles) / (1 + (columns > 2))
    # at least as wide as the legend below the panels
    figure, axes = canvas(max(3.6 * columns, 6.5), height, rows, columns)
    for panel, (title, table) in zip(axes.flat, tables.items(), strict=False):
        for key, part in table.groupby(SERIES, sort=False):
            line(panel, part, styles[key])
        panel.set_title(title, loc="left")
        step_axis(panel, unit)
        panel.set_xlim(left=0)
        if title in logarithmic and (table["value"] > 0).all():
            panel.set_yscale("log")
            # matplotlib's own labels are formulas, which stay off so that names may hold any sign
            panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            panel.yaxis.set_minor_formatter(NullFormatter())
    for panel in axes.flat[len(tables) :]:
        panel.set_visible(False)
    entries = []
    for key, part in everything.groupby(SERIES, sort=False):
        style = styles[key]
        entries.append((_counted(style, part, legend_seeds), style))
    legend(figure, entries, 1 if columns < 3 else 2)
    return figure
