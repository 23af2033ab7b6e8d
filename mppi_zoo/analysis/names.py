"""Names of methods and sources in figures, and the styles of their lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mppi_zoo.analysis.learning_curve import GREY, PALETTE
from mppi_zoo.analysis.published import SOURCES
from mppi_zoo.analysis.runs import SOURCE

BLUE, VERMILLION, GREEN, PINK, SKY, ORANGE = PALETTE
BLACK = "#222222"
BROWN = "#7F5539"

# Name and colour of each method, the same in every figure: Okabe and Ito's palette and three more.
METHODS = {
    "tdmpc2_equiv": ("TD-MPC2-equivalent", BLUE),
    "bmpc_equiv": ("BMPC-equivalent", GREEN),
    "tdmpc_square_equiv": ("TD-M(PC)²-equivalent", SKY),
    "boom_equiv": ("BOOM-equivalent", PINK),
    "awac_mpc": ("AWAC-MPC", BROWN),
    "bc_mpc": ("BC-MPC", GREY),
    "bc_sac_mpc": ("BC-SAC-MPC", BLACK),
    "pompc_replay": ("PO-MPC (replay prior)", ORANGE),
    "pompc_adaptive_fkl": ("PO-MPC (adaptive, forward KL)", VERMILLION),
    "pompc_adaptive_rkl": ("PO-MPC (adaptive, reverse KL)", PINK),
    "pompc_v": ("PO-MPC (V critic)", BROWN),
    "pompc_kl_budget": ("PO-MPC (KL budget)", SKY),
    "pompc_uniform": ("PO-MPC (uniform prior)", GREY),
    "pompc_lagged": ("PO-MPC (lagged prior)", BLACK),
    "tdmpc2": ("TD-MPC2", BLUE),
    "bmpc": ("BMPC", GREEN),
    "boom": ("BOOM", PINK),
    "tdmpc": ("TD-MPC", SKY),
    "sac": ("SAC", GREY),
    "dreamerv3": ("DreamerV3", BLACK),
    "bro": ("BRO", ORANGE),
    "sac_simba": ("SAC with SimBa", BROWN),
    "tdmpc2_simba": ("TD-MPC2 with SimBa", SKY),
    "dcmpc": ("DC-MPC", VERMILLION),
    "flashsac": ("FlashSAC", VERMILLION),
    "xqc": ("XQC", SKY),
    "simbav2": ("SimbaV2", GREEN),
    "mrq": ("MR.Q", PINK),
    "fasttd3": ("FastTD3", BLUE),
    "tdmpc2_released": ("TD-MPC2", BLUE),
    "bmpc_released": ("BMPC", GREEN),
}
# Methods that learn neither a model nor plan; they are shown apart from those that do.
MODEL_FREE = frozenset({"sac", "bro", "sac_simba", "flashsac", "xqc", "simbav2", "mrq", "fasttd3"})
LINES = ("--", ":", "-.", (0, (6, 2, 1, 2, 1, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


class Style(NamedTuple):
    """How a series is drawn."""

    label: str
    colour: str
    line: str | tuple[int, tuple[int, ...]]
    marker: str


def method(algorithm: str) -> str:
    """The name of an algorithm; text in brackets is kept, as in "pompc_v [lam=2]"."""
    base, bracket, rest = algorithm.partition(" [")
    return METHODS.get(base, (base, ""))[0] + bracket + rest


def count(number: int, noun: str) -> str:
    """ "1 task", "7 tasks"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def seeds(number: int | None) -> str:
    """ "3 seeds", "1 seed", or "seeds not stated"."""
    return "seeds not stated" if number is None else count(number, "seed")


def label(source: str, algorithm: str) -> str:
    """The method and, for a published curve, its source."""
    return method(algorithm) if source == SOURCE else f"{method(algorithm)}, {source_title(source)}"


def source_title(source: str) -> str:
    """The source as a legend names it."""
    return SOURCES[source].title if source in SOURCES else source


def _colour_group(algorithm: str) -> str:
    """A published method and its equivalent in this package share a colour."""
    return method(algorithm).removesuffix("-equivalent")


def styles(series: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Style]:
    """A style for each (source, algorithm): colour by method, line by source, marker by number.

    A method gets its own colour unless another algorithm of the same figure has it already.
    """
    found: dict[tuple[str, str], Style] = {}
    colours: dict[str, str] = {}
    keys = list(dict.fromkeys(series))
    solid = SOURCE if any(source == SOURCE for source, _ in keys) else keys[0][0]
    lines: dict[str, str | tuple[int, tuple[int, ...]]] = {solid: "-"}
    # The package's own runs first, so that published curves do not change their colours.
    for part in [[a for s, a in keys if (s == SOURCE) is ours] for ours in (True, False)]:
        for algorithm in part:  # first the methods that have a colour of their own
            own = METHODS.get(algorithm.partition(" [")[0], ("", ""))[1]
            if own and own not in colours.values():
                colours.setdefault(_colour_group(algorithm), own)
        for algorithm in part:
            spare = [c for c in (*PALETTE, BLACK, BROWN, GREY) if c not in colours.values()]
            colours.setdefault(_colour_group(algorithm), (spare or [GREY])[0])
    for source, algorithm in keys:
        if source not in lines:
            lines[source] = LINES[(len(lines) - 1) % len(LINES)]
        marker = MARKERS[len(found) % len(MARKERS)]
        colour = colours[_colour_group(algorithm)]
        style = Style(label(source, algorithm), colour, lines[source], marker)
        found[(source, algorithm)] = style
    return found
