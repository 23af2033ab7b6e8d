"""How many threads torch computes with: a rule of sizes and cores, never a timing.

The last digits of results depend on the number of threads, so the same command must give the same
number: it follows from the size of the products and from the cores that this process may use. What
threads bring was measured with ``benchmarks/bench_threads.py`` (docs/speed.md, "Threads").

Importing this module does not import torch, since :func:`wait_passively` must come before that.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path

VARIABLE = "OMP_NUM_THREADS"
# Read by the OpenMP libraries (GNU's; LLVM's and Intel's) when torch is imported.
PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
# Multiplications of a hidden layer's product that each thread must have, so that threads gain at
# least 1.5 times with each doubling: 2^24 take half a millisecond on one core with AVX2.
WORK_PER_THREAD = 2**24


def wait_passively(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let threads that wait for one another sleep instead of spin; before torch is imported.

    A thread that spins keeps its core from the one it waits for: with another program on one of
    two cores, a training ran at a hundredth of its speed. What the user has set stays.
    """
    for name, value in PASSIVE.items():
        environment.setdefault(name, value)


def work(rows: int, width: int) -> int:
    """Multiplications of a hidden layer's product, [rows, width] by [width, width]."""
    return rows * width * width


def choose(work: int, cores: int) -> int:
    """Threads for networks whose hidden layers take so much :func:`work`, on so many cores."""
    return max(1, min(cores, work // WORK_PER_THREAD))


def asked_for(environment: Mapping[str, str] = os.environ) -> int | None:
    """The number that ``OMP_NUM_THREADS`` gives; None where it is not set.

    Raises:
        ValueError: it is not a number of threads.
    """
    value = environment.get(VARIABLE, "").strip()
    if not value:
        return None
    first = value.split(",")[0].strip()  # a list is for nested regions, of which torch has none
    if not first.isdecimal() or int(first) < 1:
        raise ValueError(
            f"{VARIABLE} = {value!r}: expected a number of threads >= 1, or leave it unset"
        )
    return int(first)


def by_rule(work: int) -> int:
    """Threads for so much :func:`work`: what ``OMP_NUM_THREADS`` gives, else :func:`choose`'s.

    Raises:
        ValueError: ``OMP_NUM_THREADS`` is not a number of threads.
    """
    return asked_for() or choose(work, usable_cores())


def usable_cores(root: Path = Path("/")) -> int:
    """Cores that this process may use: its affinity, and the quota of its control groups.

    Args:
        root: of the file system in which ``proc`` and ``sys`` lie.
    """
    try:
        cores = len(os.sched_getaffinity(0))  # pyright: ignore[reportAttributeAccessIssue]
    except AttributeError:  # not Linux
        cores = os.cpu_count() or 1
    # a quota of 1.5 cores keeps two threads waiting for each other
    return max(1, math.floor(min(cores, _quota(root))))


def _quota(root: Path) -> float:
    """Cores' worth of time that the control groups grant; infinity without a limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return math.inf
    quota = math.inf
    for line in lines:  # hierarchy:controllers:path, where version 2 is "0::path"
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mounts = ["sys/fs/cgroup", "sys/fs/cgroup/unified"]
        elif "cpu" in controllers.split(","):
            mounts = [f"sys/fs/cgroup/{controllers}", "sys/fs/cgroup/cpu"]
        else:
            continue
        for mount in (root / mount for mount in mounts):
            group = mount / path.lstrip("/")
            # every group above sets a limit too; in a container the path may not exist
            for folder in (group, *group.parents):
                if not folder.is_relative_to(mount):
                    break
                quota = min(quota, _quota_of(folder))
    return quota


def _quota_of(group: Path) -> float:
    """Cores' worth of time of one control group, of either version."""
    try:
        if (group / "cpu.max").is_file():  # version 2: "max 100000", "150000 100000"
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text()  # version 1: -1 without a limit
            period = (group / "cpu.cfs_period_us").read_text()
        share = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or no limit
        return math.inf
    return share if share > 0 else math.inf


@contextlib.contextmanager
def using(threads: int) -> Iterator[None]:
    """Compute with so many threads inside; a program that called us has its own back after."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
