"""The report's sections on returns: runs, curves, aggregates, final scores."""

# pandas annotates frame[mask] as a series and group keys as any scalar, which fails these checks:
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false

from __future__ import annotations

import pandas as pd

from mppi_zoo.analysis import aggregate, figures, names, over_tasks, schema, statistics
from mppi_zoo.analysis.html import Section
from mppi_zoo.analysis.published import SOURCES, without_copies
from mppi_zoo.analysis.run import Run
from mppi_zoo.analysis.runs import Runs
from mppi_zoo.analysis.schema import SERIES, WHERE, MixedError

LAPTOP = {"enc_dim": "128", "mlp_dim": "128", "latent_dim": "64", "samples": "128"}


def common_unit(table: pd.DataFrame) -> str:
    """Agent steps where they mean the same in all runs, else frames."""
    try:
        return schema.step_unit(table, "agent_step")
    except MixedError:
        return "frames"


def number(value: float, digits: int | None = None) -> str:
    """A number for a table, thousands separated; "" where there is none.

    Without ``digits``: whole from 100 on, else with one decimal.
    """
    if pd.isna(value):
        return ""
    if digits is None:
        digits = 0 if abs(value) >= 100 or value == round(value) else 1
    return f"{value:,.{digits}f}".replace("-", "−")


def interval(value: float, low: float, high: float) -> str:
    """ "812 [790, 834]", without brackets where there is no interval."""
    text = number(value)
    return text if pd.isna(low) else f"{text} [{number(low)}, {number(high)}]"


def runs_section(found: Runs) -> Section:
    """Every run that was read, and every folder that was not."""
    section, rows = Section("Runs"), []
    for run in found.runs:
        record = run.record
        kinds = dict.fromkeys(alarm.name for alarm in run.alarms)
        rows.append(
            {
                "run": run.folder.name,
                "method": names.method(run.label),
                "task": record["task"],
                "seed": record["seed"],
                "agent steps": f"{run.reached:,}"
                + ("" if run.finished or run.planned is None else f" of {run.planned:,}"),
                "return, planner": number(_last(run, "eval")),
                "return, bare policy": number(_last(run, "eval_policy")),
                "alarms": ", ".join(kinds),
                "mppi_zoo": record["versions"].get("mppi_zoo"),
                "commit": ((record.get("git") or {}).get("commit") or "")[:8],
                "started": str(record.get("started", ""))[:16].replace("T", " "),
            }
        )
    section.table(pd.DataFrame(rows), "Returns are those of each run's last evaluation.")
    if found.notes:
        section.items(found.notes)
    if found.skipped:
        section.subtitle("Skipped")
        section.items([f"{folder.name}: {reason}" for folder, reason in found.skipped.items()])
    return section


def _last(run: Run, split: str) -> float:
    rows = run.metrics[
        (run.metrics["split"] == split) & (run.metrics["metric"] == "episode_return")
    ]
    return float(rows.sort_values("step")["value"].iloc[-1]) if len(rows) else float("nan")


def at_laptop_scale(found: Runs) -> bool:
    """Whether all runs have the network sizes at which the released programs were run here."""
    return all(run.settings.get(n) == v for run in found.runs for n, v in LAPTOP.items())


def curves_section(found: Runs, published: pd.DataFrame) -> Section:
    """Learning curves of the runs, with those of the released programs if of the same scale."""
    section, table = Section("Learning curves"), found.table
    unit = common_unit(table)
    ours = aggregate.evaluations(table)
    reference = _same_places(published, ours)
    reference = reference[reference["source"].eq("laptop") & at_laptop_scale(found)]
    policy = table[table["split"].eq("policy") & table["metric"].eq("episode_return")]
    extra = [(aggregate.curves(policy, unit), "bare policy, in the method's colour")]
    drawn = aggregate.curves(schema.combine(ours, reference), unit)
    section.figure(
        figures.learning_curves(drawn, unit, extra=extra if len(policy) else ()),
        "Evaluated episode return with the planner; mean over seeds, band as the legend says. "
        "Dotted: the bare policy on the same episodes.",
    )
    return section


def published_section(found: Runs, published: pd.DataFrame) -> Section | None:
    """The runs beside published curves of the same tasks and robots; None where there are none."""
    ours = aggregate.evaluations(found.table)
    theirs = _same_places(published, ours)
    theirs = theirs[~theirs["source"].eq("laptop")]
    # Some curves are in two releases; shown twice they would look like two measurements.
    theirs = without_copies(theirs)
    theirs = theirs[
        ~theirs["source"].eq("bmpc_4M") | ~theirs["task"].isin(_tasks(theirs, "bmpc_1M"))
    ]
    reached = int(ours["frames"].max())
    # Far enough to show how the published curves go on, but not so far that ours are too narrow.
    theirs = theirs[theirs["frames"] <= max(reached, min(10 * reached, 1_000_000), 300_000)]
    if theirs.empty:
        return None
    section = Section("Against published curves")
    free = theirs["algorithm"].isin(names.MODEL_FREE)
    drawn = aggregate.curves(schema.combine(ours, theirs[~free]), "frames")
    section.figure(
        figures.learning_curves(drawn, "frames"),
        "The same runs among curves that the methods' authors released. Axis in environment "
        "frames. Sources differ in evaluation, seeds and model size: a difference between two "
        "sources is not one between two methods.",
    )
    if free.any():
        drawn = aggregate.curves(theirs[free], "frames")
        section.figure(
            figures.learning_curves(drawn, "frames"),
            "Model-free methods on the same tasks, apart: they neither learn a model nor plan.",
        )
    shown = sorted(set(theirs["source"]))
    section.items([f"{SOURCES[s].title}: {SOURCES[s].reference}" for s in shown])
    if not at_laptop_scale(found):
        return section
    section.text("The runs of this report use laptop-scale networks, the published ones do not.")
    return section


def _same_places(published: pd.DataFrame, ours: pd.DataFrame) -> pd.DataFrame:
    places = set(ours[WHERE].itertuples(index=False, name=None))
    same = [place in places for place in published[WHERE].itertuples(index=False, name=None)]
    return published[pd.Series(same, index=published.index, dtype=bool)]


def _tasks(table: pd.DataFrame, source: str) -> set[str]:
    return set(table.loc[table["source"] == source, "task"])


def aggregates_section(found: Runs) -> Section:
    """IQM and mean, profiles, probability of improvement, sample efficiency, by benchmark."""
    section, table = Section("Aggregates"), aggregate.evaluations(found.table)
    unit = common_unit(table)
    for benchmark, part in table.groupby("benchmark", sort=False):
        if part["task"].nunique() > 1 and benchmark not in schema.RETURN_RANGE:
            section.text(
                f"{benchmark}: returns of its tasks differ in scale, so none are averaged."
            )
            continue
        part = _shared_tasks(section, part)
        step = aggregate.common_step(part, unit)
        if step is None:
            section.text(f"{benchmark}: no step at which all runs were evaluated.")
            continue
        tasks, runs = part["task"].nunique(), part["run"].nunique()
        where = f"{benchmark}, {names.count(tasks, 'task')}, {names.count(runs, 'run')}"
        section.subtitle(f"{where}, at {step:,} {schema.STEP_UNITS[unit]}")
        if part.groupby([*SERIES, "task"])["run"].nunique().max() < 2:
            section.text("One run a method and task: nothing to estimate; see the final scores.")
            continue
        section.text(
            "Intervals are 95 % of a stratified bootstrap over runs. With two or three runs a task "
            "they are too narrow: they show the spread of the seeds and are no significance test."
        )
        try:
            _aggregates(section, part, step, unit)
        except ValueError as error:
            section.text(f"Not aggregated further: {error}.")
    return section


def _shared_tasks(section: Section, part: pd.DataFrame) -> pd.DataFrame:
    """The rows of the tasks that all methods have; the section lists the other tasks."""
    own = [set(rows["task"]) for _, rows in part.groupby(SERIES)]
    left_out = sorted(set.union(*own) - set.intersection(*own))
    if left_out:
        section.text(f"Left out, since not every method has them: {', '.join(left_out)}.")
    return part[~part["task"].isin(left_out)]


def _aggregates(section: Section, part: pd.DataFrame, step: int, unit: str) -> None:
    scores = aggregate.scores_at(part, step, unit)
    estimates = {
        "interquartile mean": over_tasks.estimates(scores),
        "mean": over_tasks.estimates(scores, statistics.task_mean),
    }
    section.figure(figures.interval_bars(estimates), "Final scores over tasks and runs.")
    section.figure(
        figures.profiles(scores), "Performance profile: share of runs above each return."
    )
    pairs = over_tasks.improvements(scores)
    if len(pairs):
        section.figure(
            figures.improvement_bars(pairs),
            "Probability of improvement, mean over the tasks that both have.",
        )
    efficiency = over_tasks.sample_efficiency(part, unit)
    if len(efficiency):
        section.figure(
            figures.efficiency(efficiency, unit, "interquartile mean of the return"),
            "Sample efficiency, at the steps that all runs of a method have.",
        )


def scores_section(found: Runs) -> Section:
    """Final scores at the last step that all runs on a task share, and area under the curve."""
    section, table = Section("Final scores"), aggregate.evaluations(found.table)
    unit, rows = common_unit(table), []
    areas = aggregate.areas(table, unit)
    for place, part in table.groupby(WHERE, sort=False):
        step = aggregate.common_step(part, unit)
        drawn = aggregate.curves(part, unit)
        for (source, algorithm), curve in drawn.groupby(SERIES, sort=False):
            last = curve.iloc[-1]
            shared = curve[curve["step"] == step]
            row = {"task": place[2], "method": names.label(str(source), str(algorithm))}
            row["seeds"] = str(last["seeds"])
            row[f"last step that all share ({schema.STEP_UNITS[unit]})"] = number(
                float("nan") if step is None else step
            )
            row["return there"] = _interval(shared.iloc[0]) if len(shared) else ""
            row["own last step"] = number(last["step"])
            row["return at the end"] = _interval(last)
            if len(areas):
                same = areas[(areas["algorithm"] == algorithm) & (areas["task"] == place[2])]
                row["mean return while learning"] = number(same["value"].mean())
            rows.append(row)
    section.table(
        pd.DataFrame(rows),
        "Mean over seeds; in brackets the 95 % interval from three seeds on, lowest and highest of "
        "two. The last column is the area under the curve up to the last step that all runs on the "
        "task reached, divided by its length.",
    )
    return section


def _interval(row: pd.Series) -> str:
    return interval(float(row["value"]), float(row["low"]), float(row["high"]))
