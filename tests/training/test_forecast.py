"""The forecast of a run's length: all that a run does is in it, and it is frank about days."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mppi_zoo.training.forecast import Forecast
from mppi_zoo.training.options import TrainingOptions
from mppi_zoo.training.throughput import Speed

SPEED = Speed(plan=0.02, update=0.03, evaluation=0.1)


def forecast(speed: Speed = SPEED, environment: float = 0.001, **schedule: int) -> Forecast:
    schedule = {"steps": 15_000, "eval_every": 2_500, "eval_episodes": 8, **schedule}
    return Forecast(speed, environment, TrainingOptions(**schedule), 1, 500)  # type: ignore


def test_every_part_is_counted() -> None:
    found = forecast()
    assert found.pretraining == pytest.approx(2_500 * 0.03)
    assert found.step == pytest.approx(0.02 + 0.03 + 0.001)
    # 500 plans for eight episodes and 64 states more; 8,000 steps, the bare policy's included
    assert found.evaluation == pytest.approx(508 * 0.1 + 8_000 * 0.001)
    parts = 2_500 * 0.001 + found.pretraining + 12_500 * found.step + 6 * found.evaluation
    assert found.left(0) == pytest.approx(parts)


def test_what_is_left_falls_to_nothing() -> None:
    found = forecast()
    left = [found.left(step) for step in range(0, 15_001, 100)]
    assert left == sorted(left, reverse=True) and left[-1] == 0
    assert found.left(2_500) == pytest.approx(12_500 * found.step + 5 * found.evaluation)


def test_several_environments_share_a_plan() -> None:
    alone, four = forecast(), Forecast(SPEED, 0.001, forecast().options, 4, 500)
    assert alone.step - four.step == pytest.approx(0.75 * 0.02)


def test_without_evaluations_there_are_none() -> None:
    found = forecast(eval_every=0)
    assert found.left(2_500) == pytest.approx(12_500 * found.step)
    assert "evaluation" not in found.text()


def test_the_text_names_the_parts() -> None:
    text = forecast().text()
    assert "plan 20 ms, update 30 ms, about 19.6 agent steps/s" in text
    assert "75 seconds of pretraining, 6 evaluations of 59 seconds take about 18 minutes" in text
    assert "pretraining" not in forecast().text(5_000) and "10,000 steps" in forecast().text(5_000)


def test_days_name_the_laptop_scale() -> None:
    published = forecast(Speed(0.4, 0.5), 0.0, steps=1_000_000, eval_every=0).text()
    assert "1.1 agent steps/s" in published and "10.4 days" in published
    assert "--gin scale/laptop" in published and "laptop" not in forecast().text()


def test_evaluations_beside_the_training_cost_no_time_but_the_last() -> None:
    found, in_line = replace(forecast(), beside=True), forecast()
    assert in_line.left(0) - found.left(0) == pytest.approx(5 * found.evaluation)
    assert found.left(15_000) == 0
    beside = "(all but the last beside the training, while a core is idle)"
    assert f"6 evaluations of 59 seconds {beside}" in found.text()
