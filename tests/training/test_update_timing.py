"""When updates are made."""

from __future__ import annotations

import pytest

from mppi_zoo.training.update_timing import BetweenEpisodes, EveryStep


@pytest.mark.parametrize("owed", [0, 0.9, 1.0, 25.5])
def test_whole_updates_are_due_at_once_or_at_the_end(owed: float) -> None:
    for ended in (False, True):
        assert EveryStep().due(owed, ended) == int(owed)
        assert BetweenEpisodes().due(owed, ended) == (int(owed) if ended else 0)
