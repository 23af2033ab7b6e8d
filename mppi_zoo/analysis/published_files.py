"""Readers of the released files: each turns one file's columns into the schema's."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from mppi_zoo.analysis import schema
from mppi_zoo.analysis.schema import BAND, CI, STD

# Environment frames per agent step in the published runs.
ACTION_REPEAT = {"dmcontrol": 2, "humanoidbench": 1, "gym": 1}

_BMPC = {
    "data_dmc_all_1M": "bmpc_1M",
    "data_dmc_hard_4M": "bmpc_4M",
    "data_humanoidbench_2M": "bmpc_humanoidbench",
}


def _finish(rows: pd.DataFrame, **constant: object) -> pd.DataFrame:
    """Adds the columns that a file does not have; ``step`` is in frames."""
    rows = rows.assign(**{"split": "planner", "metric": "episode_return", **constant})
    rows["task"] = rows["task"].str.replace("_", "-")
    repeat = rows["benchmark"].map(ACTION_REPEAT)
    rows["frames"] = rows["step"]
    if (rows["step"] % repeat).any():
        raise ValueError("a published step is not a multiple of the action repeat")
    rows["agent_step"] = rows["step"] // repeat
    for name in ("low", "high"):
        rows[name] = rows.get(name, float("nan"))
    for name in ("seed", "seeds"):
        rows[name] = rows.get(name, pd.NA)
    rows["interval"] = rows.get("interval", "")
    if "run" not in rows:
        rows["run"] = rows["source"] + "/" + rows["algorithm"] + "/" + rows["task"]
    return schema.conform(rows)


def _tdmpc2(rows: pd.DataFrame) -> pd.DataFrame:
    # Some seeds have two runs, one after the other (TD-MPC, 12 tasks): the second begins where the
    # steps decrease.
    keys = ["algorithm", "task", "seed"]
    again = rows.groupby(keys)["step"].diff().le(0)
    number = again.groupby([rows[key] for key in keys]).cumsum()
    run = rows["algorithm"] + "/" + rows["task"] + "/" + rows["seed"].astype(str)
    rows = rows.assign(run="tdmpc2/" + run + "." + number.astype(str), value=rows["episode_return"])
    return _finish(rows, source="tdmpc2", benchmark="dmcontrol", robot="own", seeds=1)


def _bmpc(rows: pd.DataFrame) -> pd.DataFrame:
    # The file does not name HumanoidBench's robot, so its curves must not be mixed with others.
    robot = rows["benchmark"].map({"humanoidbench": "unnamed"}).fillna("own")
    names = {"mean": "value", "ci95_low": "low", "ci95_high": "high"}
    rows = rows.assign(source=rows["source"].map(_BMPC), robot=robot).rename(columns=names)
    return _finish(rows, interval=CI)


def _boom(rows: pd.DataFrame) -> pd.DataFrame:
    robot = rows["benchmark"].map({"humanoidbench_h1hand": "h1hand"}).fillna("own")
    rows = rows.assign(
        robot=robot,
        benchmark=rows["benchmark"].str.removesuffix("_h1hand"),
    )
    return _finish(_with_std(rows), source="boom", interval=STD)


def _simba(rows: pd.DataFrame) -> pd.DataFrame:
    constant = {"source": "simba", "benchmark": "dmcontrol", "robot": "own", "interval": STD}
    return _finish(_with_std(rows), **constant)


def _laptop(rows: pd.DataFrame) -> pd.DataFrame:
    repeat = ACTION_REPEAT["dmcontrol"]
    rows = rows.assign(step=rows["agent_step"] * repeat, value=rows["episode_return"])
    constant = {"source": "laptop", "benchmark": "dmcontrol", "robot": "own"}
    return _finish(rows, seed=1, seeds=1, **constant)


def _with_std(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation as value, low and high."""
    rows = rows.assign(low=rows["mean"] - rows["std"], high=rows["mean"] + rows["std"])
    return rows.rename(columns={"mean": "value"})


def _flashsac(rows: pd.DataFrame) -> pd.DataFrame:
    # Gymnasium's tasks keep their version in the name: v4 and v5 are different tasks.
    rows = rows.assign(benchmark=rows["benchmark"].replace({"gymnasium-mujoco": "gym"}))
    return _finish(_with_std(rows), source="flashsac", robot="own", interval=STD)


def _dcmpc(rows: pd.DataFrame) -> pd.DataFrame:
    return _finish(_with_std(rows), source="dcmpc", robot="own", interval=STD)


def _fasttd3(rows: pd.DataFrame) -> pd.DataFrame:
    # The file does not say what its band is.
    rows = rows.assign(benchmark="humanoidbench", robot="h1hand", interval=BAND)
    return _finish(rows.rename(columns={"mean": "value"}), source="fasttd3")


READERS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "tdmpc2_release_dmcontrol.csv": _tdmpc2,
    "bmpc_release.csv": _bmpc,
    "boom_release.csv": _boom,
    "simba_release_dmc_hard.csv": _simba,
    "laptop_reference.csv": _laptop,
    "flashsac_release.csv": _flashsac,
    "dcmpc_release_dmc_hard.csv": _dcmpc,
    "fasttd3_release_h1hand.csv": _fasttd3,
}
