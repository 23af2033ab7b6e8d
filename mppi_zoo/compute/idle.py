"""Whether a core is free for work beside this process, looked at for a moment."""

from __future__ import annotations

import os
import time
from pathlib import Path

LOOK = 0.3  # seconds
_IDLE, _WAITING = 4, 5  # columns of a core's line in /proc/stat, after its name: idle, iowait


def core_is_idle(stat: Path = Path("/proc/stat"), seconds: float = LOOK) -> bool:
    """Whether, while this process sleeps, one more of its cores is idle than the one it uses.

    True where the system does not say (no Linux). What other programs do later is not known, so
    nothing that results depend on may follow from it.

    Args:
        stat: the system's times of each core.
        seconds: how long to look.
    """
    try:
        before = _idle_ticks(stat)
        time.sleep(seconds)
        idle = _idle_ticks(stat) - before
    except (OSError, ValueError, IndexError, AttributeError):
        return True
    # half a core of what is asked for may go to the system and to the looking itself
    return idle >= 1.5 * seconds * os.sysconf("SC_CLK_TCK")


def _idle_ticks(stat: Path) -> int:
    """Ticks that the cores which this process may use were idle, since the machine started."""
    usable = {f"cpu{core}" for core in os.sched_getaffinity(0)}  # pyright: ignore
    lines = (line.split() for line in stat.read_text().splitlines())
    return sum(int(c[_IDLE]) + int(c[_WAITING]) for c in lines if c and c[0] in usable)
