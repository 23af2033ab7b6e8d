"""Published learning curves in the same table as runs, each with its source.

The files are in ``baselines/published/``; a README there says where they come from.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from mppi_zoo.analysis import schema
from mppi_zoo.analysis.schema import CI, STD

FOLDER = Path(__file__).resolve().parents[2] / "baselines" / "published"

# Environment frames per agent step in the published runs.
ACTION_REPEAT = {"dmcontrol": 2, "humanoidbench": 1}

HARD = (
    "dog-run",
    "dog-stand",
    "dog-trot",
    "dog-walk",
    "humanoid-run",
    "humanoid-stand",
    "humanoid-walk",
)


class Source(NamedTuple):
    """Who published the curves of one source."""

    title: str  # for legends
    reference: str
    file: str


SOURCES = {
    "tdmpc2": Source(
        "TD-MPC2's release",
        "Hansen et al., TD-MPC2, ICLR 2024: per-seed results of the release",
        "tdmpc2_release_dmcontrol.csv",
    ),
    "bmpc_1M": Source(
        "BMPC's release",
        "Wang et al., BMPC, ICLR 2025: data_dmc_all_1M of the release",
        "bmpc_release.csv",
    ),
    "bmpc_4M": Source(
        "BMPC's release (4M)",
        "Wang et al., BMPC, ICLR 2025: data_dmc_hard_4M of the release",
        "bmpc_release.csv",
    ),
    "bmpc_humanoidbench": Source(
        "BMPC's release",
        "Wang et al., BMPC, ICLR 2025: data_humanoidbench_2M of the release",
        "bmpc_release.csv",
    ),
    "boom": Source(
        "BOOM's release",
        "Zhan et al., BOOM, NeurIPS 2025, arXiv 2511.00423: results of the release",
        "boom_release.csv",
    ),
    "simba": Source(
        "SimBa's release",
        "Lee et al., SimBa, ICLR 2025: results of the release",
        "simba_release_dmc_hard.csv",
    ),
    "laptop": Source(
        "released program, laptop scale",
        "the released TD-MPC2 and BMPC programs run for this project at laptop scale",
        "laptop_reference.csv",
    ),
}
_BMPC = {
    "data_dmc_all_1M": "bmpc_1M",
    "data_dmc_hard_4M": "bmpc_4M",
    "data_humanoidbench_2M": "bmpc_humanoidbench",
}


def load_published(sources: list[str] | None = None, folder: Path = FOLDER) -> pd.DataFrame:
    """All published curves, or those of the sources named (keys of :data:`SOURCES`).

    Raises:
        ValueError: an unknown source.
        FileNotFoundError: the files are not there (an installed wheel does not contain them).
    """
    wanted = list(SOURCES) if sources is None else sources
    unknown = [name for name in wanted if name not in SOURCES]
    if unknown:
        raise ValueError(f"no source {', '.join(unknown)}; there are {', '.join(SOURCES)}")
    tables = []
    for file in dict.fromkeys(SOURCES[name].file for name in wanted):
        path = folder / file
        if not path.is_file():
            raise FileNotFoundError(
                f"no {path}: the published curves come with the repository (baselines/published), "
                "not with the installed package; pass folder="
            )
        tables.append(_READERS[file](pd.read_csv(path)))
    table = schema.combine(*tables)
    return schema.pick(table, source=wanted)


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
        low=rows["mean"] - rows["std"],
        high=rows["mean"] + rows["std"],
    )
    return _finish(rows.rename(columns={"mean": "value"}), source="boom", interval=STD)


def _simba(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.assign(low=rows["mean"] - rows["std"], high=rows["mean"] + rows["std"])
    constant = {"source": "simba", "benchmark": "dmcontrol", "robot": "own", "interval": STD}
    return _finish(rows.rename(columns={"mean": "value"}), **constant)


def _laptop(rows: pd.DataFrame) -> pd.DataFrame:
    repeat = ACTION_REPEAT["dmcontrol"]
    rows = rows.assign(step=rows["agent_step"] * repeat, value=rows["episode_return"])
    constant = {"source": "laptop", "benchmark": "dmcontrol", "robot": "own"}
    return _finish(rows, seed=1, seeds=1, **constant)


_READERS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "tdmpc2_release_dmcontrol.csv": _tdmpc2,
    "bmpc_release.csv": _bmpc,
    "boom_release.csv": _boom,
    "simba_release_dmc_hard.csv": _simba,
    "laptop_reference.csv": _laptop,
}
