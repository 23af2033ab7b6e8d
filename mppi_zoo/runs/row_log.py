"""A table on disk as a log of segments: a save writes the rows that changed, not the whole table.

A segment is immutable. It holds the numbers and values of the rows that changed before one save;
reading all segments in order, later ones overwrite earlier ones. To retire an old segment, the rows
whose newest values are in it are written once more with the next segment. So the log is at most
twice as large as the table, and a save stays cheap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

MOST_SEGMENTS = 100
NO_OWNER = 255  # in `owners`: a row that was never written


class Segment(NamedTuple):
    """Values of some rows at one save; tensors on the host."""

    rows: Tensor  # [n] int64
    values: dict[str, Tensor]  # by column, [n, ...]

    def content(self) -> dict[str, object]:
        """As plain data for a file."""
        return {"rows": self.rows, "values": self.values}


class RowLog:
    """Keeps track of which rows of a table the next segment must hold.

    Args:
        columns: the table, [R, ...] each; referred to, not copied.
    """

    def __init__(self, columns: Mapping[str, Tensor]):
        self.columns = dict(columns)
        first = next(iter(self.columns.values()))
        self.changed = torch.zeros(first.shape[0], dtype=torch.bool, device=first.device)
        self.owner = torch.full((first.shape[0],), -1, dtype=torch.int64)  # segment of each row
        self.sizes: dict[int, int] = {}  # rows in each live segment, oldest first
        self.next = 0

    def mark(self, rows: Tensor) -> None:
        """Rows [...] were written since the last segment."""
        self.changed[rows] = True

    def cut(self) -> tuple[Segment, list[int]]:
        """The next segment, and the numbers of the segments that are no longer needed with it."""
        changed = self.changed.cpu()
        retired = self._retire(changed)
        rows = changed.nonzero().squeeze(1)
        index = rows.to(self.changed.device)
        values = {name: column[index].cpu() for name, column in self.columns.items()}
        self._append(rows)
        self.changed.zero_()
        return Segment(rows, values), retired

    def replay(self, segment: Segment) -> None:
        """Write a stored segment into the table; call it for each segment, oldest first.

        Raises:
            ValueError: if the segment belongs to another table.
        """
        missing = self.columns.keys() ^ segment.values.keys()
        if missing:
            raise ValueError(f"columns {sorted(missing)} are in the file or the table, not in both")
        index = segment.rows.to(self.changed.device)
        for name, column in self.columns.items():
            stored = segment.values[name]
            if stored.shape[1:] != column.shape[1:]:
                raise ValueError(
                    f"column {name} has rows of shape {tuple(stored.shape[1:])}, expected "
                    f"{tuple(column.shape[1:])}"
                )
            column[index] = stored.to(column.device)
        self._append(segment.rows)

    def owners(self) -> Tensor:
        """[R] uint8: the position, among the live segments, of the one with the row's values."""
        found = torch.full_like(self.owner, NO_OWNER)
        written = self.owner >= 0
        found[written] = torch.searchsorted(torch.tensor(list(self.sizes)), self.owner[written])
        return found.to(torch.uint8)

    def forget(self, rows: Tensor) -> None:
        """No segment holds rows [n] any more: the next one does, whatever the table has there."""
        self.owner[rows.cpu()] = -1
        self.mark(rows)

    def restart(self) -> None:
        """Forget the segments: the next one holds every row that was ever written."""
        self.changed |= (self.owner >= 0).to(self.changed.device)
        self.owner.fill_(-1)
        self.sizes.clear()
        self.next = 0

    def _append(self, rows: Tensor) -> None:
        self.owner[rows] = self.next
        self.sizes[self.next] = rows.numel()
        self.next += 1

    def _retire(self, changed: Tensor) -> list[int]:
        """Chooses the segments to retire, and marks the rows that only they hold as changed."""
        live = int(((self.owner >= 0) | changed).sum())
        written = sum(self.sizes.values()) + int(changed.sum())
        retired: list[int] = []
        if len(self.sizes) >= MOST_SEGMENTS:
            retired = sorted(self.sizes, key=lambda number: self.sizes[number])
            retired = retired[: MOST_SEGMENTS // 2]
        for number in retired:
            written -= self._take(number, changed)
        while self.sizes and written > 2 * live:
            oldest = next(iter(self.sizes))
            retired.append(oldest)
            written -= self._take(oldest, changed)
        return retired

    def _take(self, number: int, changed: Tensor) -> int:
        """Marks the rows that only this segment holds; returns by how many rows the log shrinks."""
        rest = (self.owner == number) & ~changed
        changed |= rest
        return self.sizes.pop(number) - int(rest.sum())
