"""Published learning curves in the same table as runs, each with its source.

The files are in ``baselines/published/``; a README there says where they come from.
"""

# pandas annotates frame[mask] as a series and group keys as any scalar, which fails these checks:
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from mppi_zoo.analysis import schema
from mppi_zoo.analysis.published_files import READERS

FOLDER = Path(__file__).resolve().parents[2] / "baselines" / "published"

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
    "dcmpc": Source(
        "DC-MPC's release",
        "Scannell et al., Discrete Codebook World Models (DCWM, DC-MPC), ICLR 2025: release",
        "dcmpc_release_dmc_hard.csv",
    ),
    "flashsac": Source(
        "FlashSAC's release",
        "FlashSAC, release of 2026-04: results/stateRL_cpusim, with XQC, SimbaV2, MR.Q, TD-MPC2",
        "flashsac_release.csv",
    ),
    "fasttd3": Source(
        "FastTD3's release",
        "Seo et al., FastTD3, arXiv 2505.22642: data/humanoidbench_result.json of the release",
        "fasttd3_release_h1hand.csv",
    ),
    "laptop": Source(
        "released program, laptop scale",
        "the released TD-MPC2 and BMPC programs run for this project at laptop scale",
        "laptop_reference.csv",
    ),
}


# Series of DMControl that repeat another release's measurements point by point, as
# ``provenance.copies`` finds: (source, algorithm) -> whose they are.
COPIES = {
    ("boom", "tdmpc2"): "tdmpc2",
    ("flashsac", "tdmpc2"): "tdmpc2",
    ("bmpc_1M", "sac"): "tdmpc2",
}


def without_copies(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table of published curves, each measurement of DMControl once."""
    series = zip(table["benchmark"], table["source"], table["algorithm"], strict=True)
    kept = [place != "dmcontrol" or (own, name) not in COPIES for place, own, name in series]
    return table[pd.Series(kept, index=table.index, dtype=bool)].reset_index(drop=True)


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
        tables.append(READERS[file](pd.read_csv(path)))
    table = schema.combine(*tables)
    return schema.pick(table, source=wanted)


def load_wall_times(folder: Path = FOLDER) -> pd.DataFrame:
    """Published curves whose source gives the wall time too: FastTD3's, on its authors' GPU.

    Returns:
        The columns of the schema, and ``wall_seconds`` since the run's beginning.
    """
    rows = load_published(["fasttd3"], folder)
    seconds = pd.read_csv(folder / SOURCES["fasttd3"].file)["wall_seconds"]
    return rows.assign(wall_seconds=seconds.to_numpy())
