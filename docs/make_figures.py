"""The README's figures, from data in the repository: ``python docs/make_figures.py``.

``--walker RUN`` also renders the strip of images, from a run folder with a trained agent.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from mppi_zoo import analysis
from mppi_zoo.analysis import HARD, figures, pick

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
    """Mean over the seven hard DMControl tasks, each source by itself."""
    table = pick(analysis.load_published(["tdmpc2", "bmpc_4M", "boom", "simba"]), task=HARD)
    table = pick(table, algorithm=["tdmpc2", "bmpc", "boom", "bro", "sac_simba"])
    # BOOM's TD-MPC2 is TD-MPC2's own data
    table = table[~(table["source"].eq("boom") & table["algorithm"].eq("tdmpc2"))]
    points = []
    for step in range(100_000, upto + 1, 100_000):
        here = table[table["frames"] == step]
        points.append(analysis.mean_over_tasks(here).assign(step=step))
    means = pd.concat(points)
    assert (means["tasks"] == len(HARD)).all()
    means["seeds"], means["interval"] = pd.NA, means["low"].map(_kind)
    title = "mean return over 7 dog and humanoid tasks"
    figure = figures.panels({title: means}, "frames", legend_seeds=False)
    figure.savefig(out, dpi=110)


def _kind(low: float) -> str:
    return "" if pd.isna(low) else "95 % interval"


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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--walker", type=Path, metavar="RUN")
    args = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    learning_curves(IMAGES / "learning_curve.png")
    published(IMAGES / "published.png")
    if args.walker is not None:
        walker_strip(args.walker, IMAGES / "walker.png")
