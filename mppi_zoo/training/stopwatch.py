"""Where a run's time goes."""

from __future__ import annotations

import time


class Stopwatch:
    """Seconds spent in each part of the loop since the last record."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.steps = 0
        self.begun = time.perf_counter()

    def add(self, part: str, since: float) -> float:
        """Counts the time since a moment to a part; returns the present one."""
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - since
        self.counts[part] = self.counts.get(part, 0) + 1
        return now

    def pause(self, since: float) -> None:
        """Leaves the time since a moment out of the speed."""
        self.begun += time.perf_counter() - since

    def lap(self) -> dict[str, float]:
        """Milliseconds a call by part, and agent steps/s; starts anew."""
        elapsed = time.perf_counter() - self.begun
        figures = {f"{p}_ms": 1e3 * s / self.counts[p] for p, s in self.seconds.items()}
        figures["steps_per_second"] = self.steps / elapsed
        self.__init__()
        return figures
