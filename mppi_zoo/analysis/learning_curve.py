"""The learning curve that every run draws: evaluated episode return against agent steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mppi_zoo.runs import reader
from mppi_zoo.runs.folder import RUN_FILE, read
from mppi_zoo.runs.metrics import METRICS_COLUMNS

# Okabe and Ito's palette without black and yellow; colour-blind readers can tell its colours apart.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
GREY = "#8A8A8A"

MOST_STEPS = 10**12  # agent steps or frames; more are no count of steps

# Split, name in the legend, style of the line, marker.
SPLITS = (("eval", "planner", "-", "o"), ("eval_policy", "policy", "--", "s"))


def read_metrics(folder: Path) -> pd.DataFrame:
    """The rows of ``folder/metrics.csv``; the run may still be writing to it.

    Returns:
        Columns step (agent steps), split, metric, value; one row per value. If a value was logged
        twice for a step, only the later row.

    Raises:
        FileNotFoundError: the folder has no ``metrics.csv``.
        ValueError: the file has other columns, or a cell is no number.
    """
    try:
        rows = reader.read_rows(folder, "metrics.csv", METRICS_COLUMNS)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}: give a run folder whose training has begun") from error
    try:
        frame = numbers(rows, METRICS_COLUMNS)
    except ValueError as error:
        raise ValueError(f"{Path(folder) / 'metrics.csv'}: {error}") from error
    return frame.drop_duplicates(["step", "split", "metric"], keep="last")


def numbers(rows: list[list[str]], columns: tuple[str, ...]) -> pd.DataFrame:
    """Rows of a CSV file as a table whose steps are integers and whose values are numbers.

    Raises:
        ValueError: naming the line whose cell is none.
    """
    frame = pd.DataFrame(rows, columns=list(columns))
    for name, kind in (("step", "int64"), ("value", "float64")):
        cells: Any = frame[name]
        converted: Any = pd.to_numeric(cells, errors="coerce")
        words = cells.str.strip().str.lower()
        bad = converted.isna() & ~words.isin(["nan", "-nan"])
        if name == "step":
            bad |= ~converted.between(0, MOST_STEPS) | (converted % 1 != 0)
        if bad.any():
            first = int(bad.to_numpy().argmax())
            what = "an integer of at least 0" if name == "step" else "a number"
            cell = cells.iloc[first][:40]
            raise ValueError(f"line {first + 2} holds {cell!r} as {name}, expected {what}")
        frame[name] = converted.astype(kind)
    return frame


def plot_learning_curve(run_folders: Sequence[Path], out: Path) -> None:
    """Draws the evaluated returns of one or more runs into a PNG file.

    Runs of the same member and task are one curve: the mean over their seeds, with a band from
    the lowest to the highest. The band of a single run is one standard deviation over the
    evaluation's episodes. A single run also shows the returns of its training episodes.

    Args:
        run_folders: folders with ``metrics.csv`` and, if possible, ``run.json``.
        out: the file to write; its folder is made if missing.

    Raises:
        FileNotFoundError: a folder has no ``metrics.csv``.
        ValueError: no folder is given, or none has an episode return yet.
    """
    # Without pyplot, so that there is no global state and no display is needed.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    folders = [Path(folder) for folder in run_folders]
    if not folders:
        raise ValueError("no run folder to plot: give one or more")
    # the runs, and an empty figure
    groups = _groups(folders)
    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    if len(folders) == 1:
        _training(axes, next(iter(groups.values()))[0])
    # The curves. One member: planner and policy differ in colour. Several: each has a colour.
    for index, ((task, member), frames) in enumerate(groups.items()):
        for number, (split, label, line, marker) in enumerate(SPLITS):
            colour = PALETTE[(index if len(groups) > 1 else number) % len(PALETTE)]
            name = f"{member}, {label}" if len(groups) > 1 else label
            if len({key[0] for key in groups}) > 1:
                name = f"{task}: {name}"
            style = {"color": colour, "linestyle": line, "marker": marker, "label": name}
            _curve(axes, frames, split, style)
    if not axes.has_data():
        names = ", ".join(str(folder) for folder in folders)
        raise ValueError(f"no episode return in {names} yet: wait for the first evaluation")
    # titles, axes, legend; then the file
    _dress(axes, groups, len(folders))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, format="png")


def _groups(folders: list[Path]) -> dict[tuple[str, str], list[pd.DataFrame]]:
    """The runs' metrics by (task, member), in the order given."""
    groups: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for folder in folders:
        # Without run.json it is unknown whether two runs are alike, so each has its own curve.
        record: dict[str, Any] = read(folder) if (folder / RUN_FILE).is_file() else {}
        key = (str(record.get("task", "")), str(record.get("member", folder.resolve().name)))
        groups.setdefault(key, []).append(read_metrics(folder))
    return groups


def _series(frame: pd.DataFrame, split: str, metric: str) -> pd.Series:
    """Values by agent step, without those that are not a number."""
    rows = frame[(frame["split"] == split) & (frame["metric"] == metric)]
    return rows.set_index("step")["value"].sort_index().dropna()


def _curve(axes: Any, frames: list[pd.DataFrame], split: str, style: dict[str, Any]) -> None:
    runs = [_series(frame, split, "episode_return") for frame in frames]
    table = pd.concat(runs, axis=1) if runs else pd.DataFrame()
    # Only steps that all runs have: where a run ends, the mean over the others would jump.
    table = table.sort_index().dropna()
    if table.empty:
        return
    mean = table.mean(axis=1)
    if len(runs) > 1:
        low, high = table.min(axis=1), table.max(axis=1)
    else:
        spread = _series(frames[0], split, "episode_return_std").reindex(mean.index)
        low, high = mean - spread, mean + spread
    steps = mean.index.to_numpy()
    size = 5 if len(steps) <= 40 else 0  # markers of a long curve would merge
    axes.plot(steps, mean.to_numpy(), linewidth=2, markersize=size, zorder=3, **style)
    if low.notna().any():
        band = {"color": style["color"], "alpha": 0.15, "linewidth": 0, "zorder": 2}
        axes.fill_between(steps, low.to_numpy(), high.to_numpy(), **band)


def _training(axes: Any, frame: pd.DataFrame) -> None:
    returns = _series(frame, "train", "episode_return")
    if len(returns):
        dots = {"color": GREY, "s": 14, "alpha": 0.6, "linewidths": 0, "zorder": 1}
        label = "training episodes"
        axes.scatter(returns.index.to_numpy(), returns.to_numpy(), label=label, **dots)


def _dress(axes: Any, groups: dict[tuple[str, str], list[pd.DataFrame]], runs: int) -> None:
    from matplotlib.collections import PolyCollection

    tasks = list(dict.fromkeys(task for task, _ in groups if task))
    title = ", ".join(tasks)
    if len(groups) == 1:
        member = next(iter(groups))[1]
        title = f"{title}  ·  {member}" if title else member
        title += f"  ·  {runs} seeds" if runs > 1 else ""
    axes.set_title(title, fontsize=14, loc="left", pad=12)
    if any(isinstance(c, PolyCollection) for c in axes.collections):
        over = "lowest to highest seed" if runs > len(groups) else "± 1 std over episodes"
        axes.set_title(f"band: {over}", fontsize=10, loc="right", color=GREY, pad=12)
    axes.set_xlabel("environment interaction (agent steps)", fontsize=13)
    axes.set_ylabel("episode return (sum of rewards)", fontsize=13)
    axes.tick_params(labelsize=12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlim(left=0)
    if axes.dataLim.ymin >= 0 or (tasks and all(task.startswith("dmc:") for task in tasks)):
        axes.set_ylim(bottom=0)  # returns of the DeepMind Control Suite are never negative
    axes.legend(fontsize=12, frameon=False, loc="best")
