"""The README's figures, from data in the repository: ``python docs/make_figures.py``.

``--walker RUN`` also renders the strip of images, from a run folder with a trained agent.
"""

# pandas annotates frame[mask] as a series and group keys as any scalar, which fails these checks:
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false

from __future__ import annotations

import argparse
import base64
from pathlib import Path

import matplotlib
import nbformat

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from mppi_zoo import analysis
from mppi_zoo.analysis import HARD, figures, names, pick

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "baselines" / "results" / "laptop"
IMAGES = ROOT / "docs" / "images"
MEMBERS = ("tdmpc2_equiv", "pompc_adaptive_fkl", "bmpc_equiv")


def learning_curves(out: Path) -> None:
    """Members on walker-walk at laptop scale beside the released programs."""
    runs = analysis.evaluations(analysis.load_runs([RESULTS]).table)
    runs = pd.concat([pick(runs, algorithm=member, task="walker-walk") for member in MEMBERS])
    released = pick(analysis.load_published(["laptop"]), task="walker-walk")
    drawn = analysis.curves(analysis.combine(runs, released), "agent_step")
    figures.learning_curves(drawn, "agent_step").savefig(out, dpi=110)


def published(out: Path, upto: int = 2_000_000) -> None:
    """Mean over the seven hard DMControl tasks, each source by itself; families apart."""
    sources = ["tdmpc2", "bmpc_4M", "boom", "dcmpc", "simba", "flashsac"]
    table = analysis.without_copies(pick(analysis.load_published(sources), task=HARD))
    left_out = ["dreamerv3", "tdmpc2_simba", "tdmpc"]  # points lack; other networks; older
    table = table[~table["algorithm"].isin(left_out)]
    # BOOM's other methods are shown by their own releases
    table = table[~table["source"].eq("boom") | table["algorithm"].eq("boom")]
    points = []
    for step in range(100_000, upto + 1, 100_000):
        here = table[table["frames"] == step]
        counts = here.groupby(["source", "algorithm"])["task"].nunique()
        whole = [key in set(counts.index[counts == len(HARD)]) for key in _series(here)]
        points.append(analysis.mean_over_tasks(here[whole]).assign(step=step))
    means = pd.concat(points)
    free = means["algorithm"].isin(names.MODEL_FREE)
    families = {"planning with a learned model": means[~free], "model-free": means[free]}
    figure, panels = plt.subplots(1, 2, figsize=(9.2, 5.4), sharey=True)
    for axes, (title, rows) in zip(panels, families.items(), strict=True):
        # best first in the legend, as at the last step that all have
        at = rows[rows["step"] == 1_000_000].sort_values("value", ascending=False)
        for source, algorithm in _series(at):
            part = rows[rows["source"].eq(source) & rows["algorithm"].eq(algorithm)]
            name, colour = names.METHODS[algorithm]
            # a method's own release is solid, somebody else's run of it dashed
            own = (source, algorithm) != ("bmpc_4M", "tdmpc2")
            reached = float(part.loc[part["step"] == 1_000_000, "value"].iloc[0])
            label = f"{name}, {names.source_title(source)}: {reached:.0f} at 1M"
            line = {"color": colour, "linestyle": "-" if own else "--", "linewidth": 1.8}
            axes.plot(part["step"] / 1e6, part["value"], label=label, **line)
            band = {"color": colour, "alpha": 0.15, "linewidth": 0}
            axes.fill_between(part["step"] / 1e6, part["low"], part["high"], **band)
        axes.set_title(title, loc="left")
        axes.set(xlabel="million environment frames", xlim=(0, upto / 1e6), ylim=(0, 1000))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.14), frameon=False, fontsize=9)
    panels[0].set_ylabel("mean return over 7 dog and humanoid tasks")
    figure.savefig(out, dpi=110, bbox_inches="tight")


def _series(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(table[["source", "algorithm"]].itertuples(index=False, name=None))


def wall_time(out: Path) -> None:
    """FastTD3 on the h1hand tasks that BOOM has too: by wall time, and by steps beside BOOM."""
    times = analysis.load_wall_times()
    boom = pick(analysis.load_published(["boom"]), robot="h1hand", algorithm="boom")
    tasks = sorted(set(boom["task"]) & set(times["task"]))
    figure, panels = plt.subplots(2, len(tasks), figsize=(1.9 * len(tasks), 4.6), sharey="col")
    for column, task in enumerate(tasks):
        fast, slow = pick(times, task=task), pick(boom, task=task)
        for axes, x, rows, method in (
            (panels[0][column], fast["wall_seconds"] / 3600, fast, "fasttd3"),
            (panels[1][column], fast["frames"] / 1e6, fast, "fasttd3"),
            (panels[1][column], slow["frames"] / 1e6, slow, "boom"),
        ):
            name, colour = names.METHODS[method]
            axes.plot(x, rows["value"], color=colour, label=name, linewidth=1.6)
            axes.fill_between(x, rows["low"], rows["high"], color=colour, alpha=0.2, linewidth=0)
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(alpha=0.3)
            axes.set_xlim(left=0)
        panels[0][column].set_title(task, loc="left", fontsize=9)
        panels[0][column].set_xlabel("hours, its authors' GPU", fontsize=8)
        panels[1][column].set_xlabel("million environment steps", fontsize=8)
    for row in panels:
        row[0].set_ylabel("episode return", fontsize=8)
    panels[1][0].legend(fontsize=8, frameon=False)
    figure.tight_layout()
    figure.savefig(out, dpi=110)


def walker_strip(run: Path, out: Path, images: int = 7, every: int = 6) -> None:
    """A trained agent walking: a few moments side by side."""
    import mppi_zoo
    from mppi_zoo import envs

    controller = mppi_zoo.load(run)
    env = envs.make("dmc:walker-walk", render=True)
    obs, _ = env.reset(seed=7)
    frames = []
    for step in range(100 + images * every):
        obs, *_ = env.step(controller.act(obs))
        if step >= 100 and (step - 100) % every == 0:
            frames.append(np.asarray(env.render()))
    env.close()
    plt.imsave(out, np.concatenate([frame[:, 40:-40] for frame in frames], axis=1))


def planners(out: Path) -> None:
    """The planners side by side, as notebook 1 shows them."""
    notebook = nbformat.read(ROOT / "notebooks" / "1_planner.ipynb", as_version=4)
    (cell,) = (cell for cell in notebook.cells if "planners" in cell.metadata.get("tags", ()))
    (image,) = (o.data["image/png"] for o in cell.outputs if "image/png" in o.get("data", {}))
    out.write_bytes(base64.b64decode(image))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--walker", type=Path, metavar="RUN")
    args = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    learning_curves(IMAGES / "learning_curve.png")
    published(IMAGES / "published.png")
    wall_time(IMAGES / "wall_time.png")
    planners(IMAGES / "planners.png")
    if args.walker is not None:
        walker_strip(args.walker, IMAGES / "walker.png")
