"""What a pace expects of a stage."""

from __future__ import annotations

import math

from mppi_zoo.agent.deadline import Pace


def test_a_stage_is_expected_to_take_what_it_rarely_exceeds() -> None:
    pace = Pace()
    assert pace.expected(1) == math.inf
    for seconds in range(1, 65):
        pace.note(1, seconds)
    assert pace.expected(1) == 63
    assert pace.expected(2) == math.inf


def test_a_busy_moment_is_forgotten() -> None:
    pace = Pace()
    pace.note("a", 1.0)
    for _ in range(50):
        pace.left_out("a")
    assert pace.expected("a") < 0.4
    for _ in range(64):
        pace.note("a", 2.0)
    assert pace.expected("a") == 2
