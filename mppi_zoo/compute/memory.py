"""How much memory this process may still take."""

from __future__ import annotations

from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")


def available(cgroup: Path = CGROUP, own: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes that are free on this machine, or under the limit that a container or Slurm sets.

    Args:
        cgroup: where version 2 control groups are mounted.
        own: names the group of this process.
    """
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
