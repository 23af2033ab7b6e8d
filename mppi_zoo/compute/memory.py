"""This process's memory: how much it may still take, and what the C library keeps of it."""

from __future__ import annotations

import ctypes
from pathlib import Path

from mppi_zoo.core.extras import require

CGROUP = Path("/sys/fs/cgroup")
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names in malloc.h
LARGEST_KEPT = 32 * 2**20  # bytes of one block; glibc allows no more


def available(cgroup: Path = CGROUP, own: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes that are free on this machine, or under the limit that a container or Slurm sets.

    Args:
        cgroup: where version 2 control groups are mounted.
        own: names the group of this process.
    """
    require("train", "training", "psutil")
    import psutil

    free = psutil.virtual_memory().available
    try:
        path = own.read_text().strip().rpartition("::/")[2]
    except OSError:  # not Linux
        return free
    group = cgroup / path
    for folder in (group, *group.parents):  # every group above sets a limit too
        if not folder.is_relative_to(cgroup):
            break
        free = min(free, _left(folder))
    return int(free)


def _left(group: Path) -> float:
    """What a control group leaves; infinity without a limit."""
    try:
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such file, or no limit: "max"
        return float("inf")
    # cached files count as used, and give way
    return max(limit - used + int(stat.get("inactive_file", 0)), 0)


def keep_freed_memory() -> bool:
    """Let glibc keep what is freed; returns whether it did, which it cannot elsewhere.

    Otherwise every activation of a megabyte is given back and asked for anew, page by page: ten
    thousand page faults an update at the published size (docs/speed.md).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return False
    return bool(mallopt(MMAP_THRESHOLD, LARGEST_KEPT)) and bool(mallopt(TRIM_THRESHOLD, 2**30))
