"""Learning curves from run folders, whole, unfinished or without a record."""

import json
from pathlib import Path

import matplotlib.image
import pytest
from matplotlib.axes import Axes

from mppi_zoo.analysis import learning_curve
from mppi_zoo.runs.metrics import MetricsLogger


def make_run(folder: Path, seed: int = 1, member: str = "bmpc", record: bool = True, gain=1.0):
    with MetricsLogger(folder, tensorboard=False) as logger:
        for step in range(0, 5000, 1000):
            value = gain * (step / 10 + seed)
            logger.write(step, "train", {"episode_return": value / 2})
            logger.write(step, "eval", {"episode_return": value, "episode_return_std": 20.0})
            logger.write(step, "eval_policy", {"episode_return": value / 3})
    if record:
        run = {"task": "dmc:walker-walk", "member": member, "seed": seed}
        (folder / "run.json").write_text(json.dumps(run))
    return folder


@pytest.fixture
def axes(monkeypatch) -> list[Axes]:
    """The axes that were drawn, once the figure is dressed."""
    drawn = []
    dress = learning_curve._dress

    def keep(axes, *rest):
        drawn.append(axes)
        dress(axes, *rest)

    monkeypatch.setattr(learning_curve, "_dress", keep)
    return drawn


def labels(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_one_run_shows_planner_policy_and_training(tmp_path, axes):
    out = tmp_path / "plots" / "curve.png"
    learning_curve.plot_learning_curve([make_run(tmp_path / "run")], out)
    height, width = matplotlib.image.imread(out).shape[:2]
    assert width >= 1000 and height >= 600
    (drawn,) = axes
    assert labels(drawn) == ["training episodes", "planner", "policy"]
    assert drawn.get_title("left") == "dmc:walker-walk  ·  bmpc"
    assert drawn.get_title("right") == "band: ± 1 std over episodes"
    assert "agent steps" in drawn.get_xlabel() and "return" in drawn.get_ylabel()
    planner = drawn.lines[0]
    assert list(planner.get_xdata()) == [0, 1000, 2000, 3000, 4000]  # type: ignore
    assert list(planner.get_ydata()) == [1, 101, 201, 301, 401]  # type: ignore


def test_seeds_of_a_member_are_one_curve(tmp_path, axes):
    runs = [make_run(tmp_path / str(seed), seed=seed) for seed in (1, 2, 6)]
    learning_curve.plot_learning_curve(runs, tmp_path / "curve.png")
    (drawn,) = axes
    assert labels(drawn) == ["planner", "policy"]
    assert drawn.get_title("left").endswith("3 seeds")
    assert drawn.lines[0].get_ydata()[0] == 3  # type: ignore
    band = drawn.collections[0].get_paths()[0].vertices
    assert (band[:, 1][band[:, 0] == 0].min(), band[:, 1][band[:, 0] == 0].max()) == (1, 6)


def test_members_have_colours_and_names(tmp_path, axes):
    runs = [make_run(tmp_path / member, member=member) for member in ("bmpc", "tdmpc2")]
    learning_curve.plot_learning_curve(runs, tmp_path / "curve.png")
    (drawn,) = axes
    names = ["bmpc, planner", "bmpc, policy", "tdmpc2, planner", "tdmpc2, policy"]
    assert labels(drawn) == names
    colours = [line.get_color() for line in drawn.lines]
    assert colours[0] == colours[1] != colours[2] == colours[3]


def test_runs_without_a_record_stay_apart(tmp_path, axes):
    runs = [make_run(tmp_path / name, record=False) for name in ("first", "second")]
    learning_curve.plot_learning_curve(runs, tmp_path / "curve.png")
    assert labels(axes[0])[::2] == ["first, planner", "second, planner"]


def test_a_run_that_is_being_written_can_be_read(tmp_path):
    run = make_run(tmp_path / "run")
    with (run / "metrics.csv").open("a") as file:
        file.write("5000,eval,episode_return,99")
    frame = learning_curve.read_metrics(run)
    assert frame["step"].max() == 4000
    assert set(frame["split"]) == {"train", "eval", "eval_policy"}


def test_losses_below_zero_are_not_cut_off(tmp_path, axes):
    run = make_run(tmp_path / "run", gain=-1.0, record=False)
    learning_curve.plot_learning_curve([run], tmp_path / "curve.png")
    assert axes[0].get_ylim()[0] < -401


def test_errors_say_what_is_missing(tmp_path):
    out = tmp_path / "curve.png"
    with pytest.raises(ValueError, match="no run folder"):
        learning_curve.plot_learning_curve([], out)
    with pytest.raises(FileNotFoundError, match="metrics.csv"):
        learning_curve.plot_learning_curve([tmp_path], out)
    MetricsLogger(tmp_path / "new", tensorboard=False).close()
    with pytest.raises(ValueError, match="first evaluation"):
        learning_curve.plot_learning_curve([tmp_path / "new"], out)
    (tmp_path / "new" / "metrics.csv").write_text("a,b\n")
    with pytest.raises(ValueError, match="step,split,metric,value"):
        learning_curve.read_metrics(tmp_path / "new")
    assert not out.exists()
