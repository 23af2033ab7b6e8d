"""A core is idle for work beside this process, or busy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mppi_zoo.compute import idle

TICKS = os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(
    ("idle_shares", "expected"),
    [((1.0, 1.0), True), ((1.0, 0.0), False), ((0.9, 0.8), True), ((0.7, 0.7), False)],
)
def test_two_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, idle_shares: tuple[float, ...], expected: bool
) -> None:
    stat = tmp_path / "stat"

    def write(seconds: float) -> None:
        """What the system says after so many seconds; cpu2 is idle, and not ours."""
        ticks = [round(share * seconds * TICKS) for share in (*idle_shares, 1.0)]
        # half of the time waits for the disk, which is idle too
        lines = [f"cpu{n} 1 2 3 {t // 2} {t - t // 2} 0 0" for n, t in enumerate(ticks)]
        stat.write_text("\n".join(["cpu 9 9 9 999 0 0 0", *lines, "", "intr 1 2"]))

    write(100)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
    monkeypatch.setattr(idle.time, "sleep", lambda seconds: write(100 + seconds))
    assert idle.core_is_idle(stat, seconds=1.0) == expected


def test_where_the_system_does_not_say(tmp_path: Path) -> None:
    assert idle.core_is_idle(tmp_path / "none", seconds=0.0)
