"""A step each period, by a clock of the test's own."""

from __future__ import annotations

import pytest

from mppi_zoo.training.control_rate import AsFastAsPossible, FixedRate


class Clock:
    """Time passes while somebody sleeps, or by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds


def test_steps_are_a_period_apart_and_lost_time_is_not_made_up_for() -> None:
    clock = Clock()
    rate = FixedRate(10.0, clock, clock.sleep)
    rate.begin()
    done = []
    for thinking in (0.03, 0.09, 0.25, 0.02, 0.1):
        clock.now += thinking
        rate.wait()
        done.append(clock.now)
    # the third is late by 0.15: 0.2 + 0.25 = 0.45; the next comes a period after it
    assert done == pytest.approx([0.1, 0.2, 0.45, 0.55, 0.65])
    told = rate.lap()
    assert told["control_steps"] == 5 and told["control_overruns"] == 1
    assert told["longest_overrun_ms"] == pytest.approx(150)
    clock.now += 7  # between two episodes
    rate.begin()
    rate.wait()
    assert rate.lap() == {"control_steps": 1, "control_overruns": 0, "longest_overrun_ms": 0}


def test_a_simulation_is_not_waited_for() -> None:
    rate = AsFastAsPossible()
    rate.begin()
    rate.wait()
    assert rate.lap() == {} and rate.period == 0
