"""The report's sections on the runs themselves: speed, configurations, diagnostics, videos."""

# pandas annotates frame[mask] as a series and group keys as any scalar, which fails these checks:
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from mppi_zoo.analysis import aggregate, figures, names
from mppi_zoo.analysis.configuration import differences, identity
from mppi_zoo.analysis.html import Section
from mppi_zoo.analysis.runs import Runs
from mppi_zoo.analysis.sections import common_unit, number
from mppi_zoo.analysis.speed import speeds
from mppi_zoo.runs import reader

# Title of the panel, and the split and metric that it shows.
DIAGNOSTICS = {
    "KL(π ‖ prior), nats/dim": ("diagnostic", "kl_to_prior"),
    "KL(π ‖ stored plan), nats/dim": ("diagnostic", "kl_to_planner"),
    "KL(π ‖ fresh plan), nats/dim": ("diagnostic", "kl_to_fresh_planner"),
    "policy entropy, nats/dim": ("diagnostic", "policy_entropy"),
    "gradient variance, single plans": ("diagnostic", "gradient_variance_replay"),
    "gradient variance, own prior": ("diagnostic", "gradient_variance_prior"),
    "… from drawing the plan alone": ("diagnostic", "gradient_variance_planner"),
    "critic − Monte-Carlo return": ("diagnostic", "overestimation"),
    "planner std": ("diagnostic", "planner_std"),
    "elite agreement": ("diagnostic", "elite_agreement"),
    "policy's weight among elites": ("diagnostic", "elite_policy_share"),
    "ends that the model sees, share": ("diagnostic", "termination_recall"),
    "its false alarms, share of other states": ("diagnostic", "termination_false_alarms"),
    "states where the policy's std is at its bound": ("diagnostic", "policy_std_at_bound"),
    "spread of the policy's action over states": ("diagnostic", "policy_action_spread"),
}
TRAINING = {
    "objective's divergence D": ("train", "divergence"),
    "λ (weight of D)": ("train", "lam"),
    "entropy term h": ("train", "entropy"),
    "policy std": ("train", "policy_std"),
}
LOGARITHMIC = frozenset(title for title in DIAGNOSTICS if "variance" in title or "alone" in title)
LOGARITHMIC |= {title for title in DIAGNOSTICS if title.startswith("KL")}
LOGARITHMIC |= {"objective's divergence D"}


def gain(table: pd.DataFrame) -> pd.DataFrame:
    """The planner's return minus the bare policy's at each evaluation of each run."""
    returns = table[table["metric"] == "episode_return"]
    keys = ["source", "run", "agent_step"]
    policy = returns[returns["split"] == "policy"].set_index(keys)["value"]
    planner = returns[returns["split"] == "planner"]
    paired = planner.join(policy.rename("policy"), on=keys).dropna(subset=["policy"])
    difference = paired["value"] - paired["policy"]
    constant = {"split": "diagnostic", "metric": "planner_gain"}
    return paired.assign(value=difference, **constant).drop(columns="policy")


def diagnostics_section(found: Runs) -> Section:
    """The diagnostics of the methods by task, a panel each."""
    section, table = Section("Diagnostics"), found.table
    unit = common_unit(table)
    section.text(
        "The definitions are in mppi_zoo/training/diagnostics.py. PO-MPC claims that a learned "
        "prior gives policy gradients of lower variance than single stored plans: compare the "
        "panel of the method's own prior with that of single plans. Aligning the policy with the "
        "planner should make the difference of their returns smaller, and the critic's "
        "over-estimation too."
    )
    for task, part in table.groupby("task", sort=False):
        section.subtitle(str(task))
        shown: dict[str, pd.DataFrame] = {}
        difference = gain(part)
        if len(difference):
            shown["planner − bare policy, return"] = aggregate.curves(difference, unit)
        for title, (split, metric) in DIAGNOSTICS.items():
            rows = part[(part["split"] == split) & (part["metric"] == metric)]
            if len(rows):
                shown[title] = aggregate.curves(rows, unit)
        if shown:
            figure = figures.panels(shown, unit, logarithmic=LOGARITHMIC)
            section.figure(figure, f"Measured at evaluation, {task}.")
        have = set(part.loc[part["split"] == "diagnostic", "run"])
        lacking = [
            r.folder.name for r in found.runs if r.place[2] == task and str(r.folder) not in have
        ]
        if lacking:
            section.text(f"No diagnostics in runs of an earlier version: {', '.join(lacking)}.")
        for pair in PAIRS:
            _pair(section, part, unit, pair)
        training = {
            title: aggregate.curves(rows, unit)
            for title, (split, metric) in TRAINING.items()
            if len(rows := part[(part["split"] == split) & (part["metric"] == metric)])
        }
        if training:
            figure = figures.panels(training, unit, columns=4, logarithmic=LOGARITHMIC)
            caption = (
                "Logged while training. D is each member's own divergence with its own reduction"
            )
            section.figure(figure, f"{caption}: compare its shape, not its height, {task}.")
    return section


class Pair(NamedTuple):
    """A prediction of the agent's and what it should be, in one figure."""

    predicted: str  # metric
    happened: str
    quantity: str
    legend: str  # of what happened
    caption: str


PAIRS = (
    Pair(
        "value_estimate",
        "value_return",
        "discounted return",
        "Monte-Carlo return of the same states",
        "Critic's value of the states that the bare policy visits (lines) and the discounted "
        "return that it then earned (dotted).",
    ),
    Pair(
        "termination_predicted",
        "termination_happened",
        "probability that a step ends the episode",
        "share of the steps that did",
        "Calibration of the model's terminations: mean predicted probability at the observations "
        "of the evaluations (lines) and the share of them at which an episode ended (dotted).",
    ),
)


def _pair(section: Section, part: pd.DataFrame, unit: str, pair: Pair) -> None:
    """The figure of a pair, where the runs have it."""
    tables = []
    for metric in (pair.predicted, pair.happened):
        rows = part[(part["split"] == "diagnostic") & (part["metric"] == metric)]
        if rows.empty:
            return
        tables.append(aggregate.curves(rows, unit))
    extra = [(tables[1], pair.legend)]
    figure = figures.learning_curves(tables[0], unit, quantity=pair.quantity, extra=extra)
    section.figure(figure, pair.caption)


def alarms_section(found: Runs) -> Section | None:
    """What the runs' metrics tell of trouble, the last finding of each kind; None: nothing."""
    section, items = Section("Alarms"), []
    for run in found.runs:
        by_kind = {alarm.name: alarm for alarm in run.alarms}
        items += [f"{run.folder.name}, step {a.step:,}: {a.text}" for a in by_kind.values()]
    if not items:
        return None
    section.text(
        "What the runs' metrics tell of trouble; the rules are in mppi_zoo/runs/alarms.py."
    )
    section.items(items)
    return section


def speed_section(found: Runs) -> Section:
    """Speed of each run and of its parts, in wall-clock time."""
    section = Section("Speed")
    table = speeds(found.runs)
    shown = pd.DataFrame({"run": table["run"]})
    shown["agent steps/s"] = table["steps_per_second"].map(lambda x: number(x, 1))
    for part in (name for name in table.columns if name.endswith("_ms")):
        if table[part].notna().any():
            digits = 1 if table[part].max() > 1 else 2
            shown[part.removesuffix("_ms") + ", ms"] = [number(x, digits) for x in table[part]]
    shown["one evaluation, s"] = table["evaluation_s"].map(lambda x: number(x, 1))
    shown["training and evaluation, min"] = table["minutes"].map(lambda x: number(x, 1))
    shown["processor"] = table["device"]
    section.table(
        shown,
        "Medians over the run's records, seed phase and pretraining left out. Runs on machines "
        "shared with other work say little about speed.",
    )
    return section


def configuration_section(found: Runs) -> Section:
    """Settings in which the methods differ."""
    section = Section("Configurations")
    methods: dict[str, dict[str, str]] = {}
    for run in found.runs:
        methods.setdefault(run.label, identity(run.settings))
    known = {label: settings for label, settings in methods.items() if settings}
    if len(known) < 2:
        section.text("One configuration: nothing to compare. The full one is the run's config.gin.")
        return section
    rows = [
        {"setting": name, **dict(zip(map(names.method, known), values, strict=True))}
        for name, values in differences(list(known.values())).items()
    ]
    section.table(
        pd.DataFrame(rows),
        "Settings that are not the same in all methods, from config.gin; a dash where a method has "
        "no such part. All other settings are equal. Task and schedule are left out.",
    )
    return section


def videos_section(found: Runs, megabytes: float = 8.0) -> Section | None:
    """The last evaluation video of each run; None where there is none."""
    section = Section("Evaluation videos")
    for run in found.runs:
        films = reader.find(run.folder, "videos", ".mp4")
        if not films:
            continue
        film = max(films, key=lambda path: path.stat().st_mtime)
        caption = f"{run.folder.name}: {film.stem.replace('_', ' ')}"
        limit = round(megabytes * 2**20)
        if film.stat().st_size > limit:
            section.text(f"{caption} is larger than {megabytes:g} MB and left at {film}")
        else:
            content = reader.read_bytes(run.folder, Path("videos") / film.name, limit)
            section.video(content, caption)
    return section if section.parts else None
