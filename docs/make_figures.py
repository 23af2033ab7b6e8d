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

from mppi_zoo.curves import read_metrics

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "baselines" / "results" / "laptop"
IMAGES = ROOT / "docs" / "images"
MEMBERS = {
    "tdmpc2_equiv": ("TD-MPC2-equivalent", "#0072B2"),
    "pompc_adaptive_fkl": ("PO-MPC, adaptive (forward KL)", "#D55E00"),
    "bmpc_equiv": ("BMPC-equivalent", "#009E73"),
}
RELEASED = {
    "tdmpc2_released": ("TD-MPC2, released program (1 seed)", "#0072B2"),
    "bmpc_released": ("BMPC, released program (1 seed)", "#009E73"),
}


def evaluations(folder: Path) -> pd.Series:
    """Evaluated return of the planner by agent step."""
    table = read_metrics(folder)
    rows = table[(table["split"] == "eval") & (table["metric"] == "episode_return")]
    return pd.Series(rows["value"].to_numpy(), index=rows["step"].to_numpy())


def learning_curves(out: Path) -> None:
    """Members on walker-walk at laptop scale beside the released programs."""
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for member, (label, colour) in MEMBERS.items():
        runs = [evaluations(f) for f in sorted(RESULTS.glob(f"{member}_s*"))]
        if not runs:
            continue
        table = pd.concat(runs, axis=1).dropna()
        steps = table.index.to_numpy()
        axes.plot(steps, table.mean(axis=1), color=colour, label=f"{label} ({len(runs)} seeds)")
        axes.fill_between(steps, table.min(axis=1), table.max(axis=1), color=colour, alpha=0.2)
    published = pd.read_csv(ROOT / "baselines" / "published" / "laptop_reference.csv")
    for algorithm, (label, colour) in RELEASED.items():
        rows = published[
            (published["algorithm"] == algorithm) & (published["task"] == "walker-walk")
        ]
        axes.plot(rows["agent_step"], rows["episode_return"], "--", color=colour, label=label)
    axes.set_xlabel("agent steps (two environment frames each)")
    axes.set_ylabel("evaluated episode return, planner")
    axes.set_title("dmc:walker-walk at laptop scale")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1000)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--walker", type=Path, metavar="RUN")
    args = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    learning_curves(IMAGES / "learning_curve.png")
    if args.walker is not None:
        walker_strip(args.walker, IMAGES / "walker.png")
