"""The C library's memory, kept for the next update instead of handed back to the system."""

from __future__ import annotations

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names in malloc.h
LARGEST_KEPT = 32 * 2**20  # bytes of one block; glibc allows no more


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
