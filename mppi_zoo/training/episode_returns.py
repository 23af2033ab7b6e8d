"""Returns of the episodes that a replay's rows belong to, kept beside its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


class LaneReturns:
    """The returns of the episodes of one lane; the one under way counts with its return so far.

    Rows are counted from the first ever written, so that no row has two numbers.
    """

    def __init__(self) -> None:
        self.first = np.zeros(1, dtype=np.int64)  # first row of each episode, the last under way
        self.total = np.zeros(1)  # their returns

    def begin(self, row: int) -> None:
        """The next episode begins at a row; one without a row is none."""
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


class EpisodeReturns:
    """The same of all lanes of a replay."""

    def __init__(self, num_envs: int):
        self.lanes = [LaneReturns() for _ in range(num_envs)]

    def add(self, reward: Tensor) -> None:
        """A step of every lane's episode under way, its reward [N]."""
        for lane, earned in zip(self.lanes, reward.tolist(), strict=True):
            lane.total[-1] += earned

    def begin(self, ended: np.ndarray, written: np.ndarray) -> None:
        """New episodes begin in the lanes ``ended`` [N] bool, after ``written`` [N] rows each."""
        for lane in np.flatnonzero(ended):
            self.lanes[lane].begin(int(written[lane]))

    def at(self, age: np.ndarray, lanes: np.ndarray, written: np.ndarray, kept: int) -> np.ndarray:
        """The returns [B] of the episodes that some rows belong to.

        Args:
            age: [B] rows that were written to the lane after each of them.
            lanes: [B] where they lie.
            written: [N] rows ever written, by lane.
            kept: rows that a lane holds; older ones will not be asked for.
        """
        rows, found = written[lanes] - 1 - age, np.empty(len(age), dtype=np.float32)
        for number, lane in enumerate(self.lanes):
            lane.forget(int(written[number]) - kept)
            found[lanes == number] = lane.at(rows[lanes == number])
        return found

    def state_dict(self) -> dict[str, Any]:
        """For checkpoints."""
        return {
            name: [torch.from_numpy(getattr(lane, name)) for lane in self.lanes]
            for name in ("first", "total")
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        for number, lane in enumerate(self.lanes):
            lane.first = state["first"][number].numpy().copy()
            lane.total = state["total"][number].numpy().copy()
