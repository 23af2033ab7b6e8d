"""The log of a table's changed rows restores it and stays small."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mppi_zoo.runs.row_log import MOST_SEGMENTS, NO_OWNER, RowLog, Segment

ROWS = 12


def table() -> dict[str, torch.Tensor]:
    return {"a": torch.zeros(ROWS, 2), "b": torch.zeros(ROWS, dtype=torch.bool)}


@settings(max_examples=60)
@given(writes=st.lists(st.lists(st.integers(0, ROWS - 1), max_size=ROWS), max_size=30))
def test_a_log_restores_the_table_and_stays_small(writes: list[list[int]]) -> None:
    columns = table()
    log, kept, value = RowLog(columns), {}, 0.0
    touched: set[int] = set()
    for rows in writes:
        for row in rows:
            value += 1
            columns["a"][row], columns["b"][row] = value, bool(value % 2)
        log.mark(torch.tensor(rows, dtype=torch.int64))
        touched |= set(rows)
        number = log.next
        segment, retired = log.cut()
        assert set(rows) <= set(segment.rows.tolist()) <= touched
        kept[number] = segment
        for old in retired:
            del kept[old]
        assert set(kept) == set(log.sizes)
        assert sum(s.rows.numel() for s in kept.values()) <= 2 * len(touched)
    live, owners = list(kept.values()), log.owners().tolist()
    for row, owner in enumerate(owners):
        holding = [i for i, segment in enumerate(live) if row in segment.rows.tolist()]
        assert owner == (max(holding) if holding else NO_OWNER)
    restored = table()
    again = RowLog(restored)
    for segment in kept.values():
        again.replay(segment)
    for name in columns:
        assert torch.equal(restored[name], columns[name])
    again.restart()
    segment, retired = again.cut()
    assert set(segment.rows.tolist()) == touched and not retired


def test_a_log_has_a_bounded_number_of_segments() -> None:
    log = RowLog({"a": torch.zeros(10_000)})
    for row in range(1000):
        log.mark(torch.tensor([row]))
        log.cut()
        assert len(log.sizes) <= MOST_SEGMENTS


def test_a_log_of_another_table_is_refused() -> None:
    log = RowLog(table())
    with pytest.raises(ValueError, match=r"columns \['b'\]"):
        log.replay(Segment(torch.tensor([0]), {"a": torch.zeros(1, 2)}))
    wrong = {"a": torch.zeros(1, 3), "b": torch.zeros(1, dtype=torch.bool)}
    with pytest.raises(ValueError, match=r"column a has rows of shape \(3,\), expected \(2,\)"):
        log.replay(Segment(torch.tensor([0]), wrong))


def test_rows_that_were_lost_are_written_with_the_next_segment() -> None:
    log = RowLog(table())
    log.mark(torch.tensor([1, 2, 3]))
    log.cut()
    log.forget(torch.tensor([2]))
    assert log.owners()[[1, 2, 3]].tolist() == [0, NO_OWNER, 0]
    segment, _ = log.cut()
    assert segment.rows.tolist() == [2] and log.owners()[2] == 1
