"""Where windows may start in a lane of the replay."""

from __future__ import annotations

import numpy as np


class WindowStarts:
    """First-in first-out queue of the rows of one lane where a window may start."""

    def __init__(self, capacity: int):
        self.rows = np.zeros(capacity, dtype=np.int64)
        self.first = 0
        self.count = 0

    def push(self, row: int) -> None:
        self.rows[(self.first + self.count) % len(self.rows)] = row
        self.count += 1

    def drop(self, row: int) -> None:
        """Forget ``row`` if it is the oldest start; rows are overwritten oldest first."""
        if self.count and self.rows[self.first] == row:
            self.first = (self.first + 1) % len(self.rows)
            self.count -= 1

    def take(self, positions: np.ndarray) -> np.ndarray:
        """Rows at queue positions 0 .. count-1, oldest first."""
        return self.rows[(self.first + positions) % len(self.rows)]

    def keep(self, mask: np.ndarray) -> None:
        """Forget the starts at queue positions where mask [count] bool is False."""
        kept = self.take(np.arange(self.count))[mask]
        self.first, self.count = 0, len(kept)
        self.rows[: self.count] = kept
