"""Returns of the episodes that a replay's rows belong to, kept beside its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


class EpisodeReturns:
    """The returns of the episodes of one lane; the one under way counts with its return so far.

    Rows are counted from the first ever written, so that no row has two numbers.
    """

    def __init__(self) -> None:
        self.first = np.zeros(1, dtype=np.int64)  # first row of each episode, the last under way
        self.total = np.zeros(1)  # their returns

    def add(self, reward: float) -> None:
        """A step of the episode under way."""
        self.total[-1] += reward

    def begin(self, row: int) -> None:
        """The next episode begins at a row; one that had none is none."""
        if row == self.first[-1]:
            self.total[-1] = 0.0
            return
        self.first = np.append(self.first, row)
        self.total = np.append(self.total, 0.0)

    def forget(self, oldest: int) -> None:
        """Drop the episodes of which no row is left, given the oldest row that is."""
        gone = int(np.searchsorted(self.first, oldest, side="right")) - 1
        if gone > 0:
            self.first, self.total = self.first[gone:], self.total[gone:]

    def at(self, rows: np.ndarray) -> np.ndarray:
        """The returns of the episodes that rows [n] belong to."""
        return self.total[np.searchsorted(self.first, rows, side="right") - 1]

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints."""
        return {"first": torch.from_numpy(self.first), "total": torch.from_numpy(self.total)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self.first, self.total = (state[name].numpy().copy() for name in ("first", "total"))
