"""The report's section on success rates, where environments say whether their task is solved."""

# pandas annotates frame[mask] as a series and group keys as any scalar, which fails these checks:
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false

from __future__ import annotations

import pandas as pd

from mppi_zoo.analysis import aggregate, figures, names
from mppi_zoo.analysis.html import Section
from mppi_zoo.analysis.runs import Runs
from mppi_zoo.analysis.schema import SERIES, STEP_UNITS, WHERE
from mppi_zoo.analysis.sections import common_unit

RATE, AT_END = "success_rate", "success_at_end"


def success_section(found: Runs) -> Section | None:
    """Success rates of the evaluations by task; None where no run has any."""
    table = found.table
    planner = table[table["split"].eq("planner") & table["metric"].eq(RATE)]
    if planner.empty:
        return None
    section, unit = Section("Success rates"), common_unit(table)
    policy = table[table["split"].eq("policy") & table["metric"].eq(RATE)]
    extra = [(aggregate.curves(policy, unit), "bare policy, in the method's colour")]
    drawn = aggregate.curves(planner, unit)
    section.figure(
        figures.learning_curves(
            drawn, unit, quantity="success rate", extra=extra if len(policy) else ()
        ),
        "Share of the evaluation's episodes in which the task was solved at some step, with the "
        "planner. Dotted: the bare policy on the same episodes.",
    )
    at_end = aggregate.curves(
        table[table["split"].eq("planner") & table["metric"].eq(AT_END)], unit
    )
    rows = []
    for key, curve in drawn.groupby([*SERIES, *WHERE], sort=False):
        last, same = curve.iloc[-1], at_end[(at_end[[*SERIES, *WHERE]] == list(key)).all(axis=1)]
        rows.append(
            {
                "task": key[-1],
                "method": names.label(str(key[0]), str(key[1])),
                "seeds": str(last["seeds"]),
                f"last evaluation ({STEP_UNITS[unit]})": f"{int(last['step']):,}",
                "solved at some step": percent(last["value"]),
                "solved at the last step": percent(same.iloc[-1]["value"]) if len(same) else "",
                "highest, at some step": percent(curve["value"].max()),
            }
        )
    section.table(pd.DataFrame(rows), "Means over seeds.")
    return section


def percent(rate: float) -> str:
    """A rate as "75 %"."""
    return f"{100 * rate:.0f} %"
