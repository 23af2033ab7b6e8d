"""The report's section on a search: every trial with its score, and a figure of the scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mppi_zoo.analysis.figure_style import canvas, styled
from mppi_zoo.analysis.html import Section
from mppi_zoo.study.search import Asked, summaries
from mppi_zoo.study.space import Choice, Range, Search
from mppi_zoo.study.trials import PRUNED, SCORED, Trial

COLUMNS = 3


def search_section(search: Search, found: Asked) -> Section:
    """What was searched, and the trials of each cell, best first, pruned ones last."""
    section = Section("Search")
    section.items([f"{name}: {domain}" for name, domain in search.parameters.items()])
    section.items(summaries(search, found))
    for cell, trials in found:
        ended = [trial for trial in trials if trial.score is not None]
        if len(found) > 1:
            section.subtitle(cell.name)
        if ended:
            section.figure(
                _scores(search.parameters, ended),
                f"Score of each trial ({search.metric}, mean over seeds) by the values that it "
                "tried. Hollow: pruned trials, with the mean when they were given up.",
            )
        order = sorted(trials, key=lambda t: (t.state != SCORED, t.score is None, -(t.score or 0)))
        section.table(
            pd.DataFrame(
                {
                    "trial": f"t{trial.number}",
                    **{name: _short(trial.values.get(name, "")) for name in search.parameters},
                    search.metric: "" if trial.score is None else f"{trial.score:,.4g}",
                    "state": trial.state,
                }
                for trial in order
            )
        )
    return section


def _short(text: str) -> str:
    number = _number(text)
    return text if number is None else f"{number:.4g}"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


@styled
def _scores(parameters: Mapping[str, Range | Choice], trials: Sequence[Trial]) -> Figure:
    """A panel for each parameter, a point for each trial."""
    columns = min(COLUMNS, len(parameters))
    rows = math.ceil(len(parameters) / columns)
    figure, axes = canvas(max(5.0, 3.6 * columns), 2.9 * rows, rows, columns, sharey=True)
    for panel, (name, domain) in zip(axes.flat, parameters.items(), strict=False):
        for trial in trials:
            text = trial.values[name]
            value = domain.values.index(text) if isinstance(domain, Choice) else float(text)
            face = "none" if trial.state == PRUNED else "#0072B2"
            panel.plot(value, trial.score, "o", color="#0072B2", markerfacecolor=face)
        panel.set_xlabel(name)
        if isinstance(domain, Choice):
            panel.set_xticks(range(len(domain.values)), domain.values)
            panel.set_xlim(-0.5, len(domain.values) - 0.5)
        elif domain.log:
            panel.set_xscale("log")
        else:
            panel.xaxis.set_major_locator(MaxNLocator(5, integer=domain.whole))
    for row in axes:
        row[0].set_ylabel("score")
    for panel in axes.flat[len(parameters) :]:
        panel.set_visible(False)
    return figure
