"""The schedule's options: what is refused, and how long the seed phase is."""

from __future__ import annotations

from typing import Any

import pytest

from mppi_zoo.training.options import TrainingOptions


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("batch_size", 2.5),
        ("replay_capacity", -1),
        ("eval_episodes", 0),
        ("log_every", 0),
        ("seed_steps", 0),
        ("checkpoint_minutes", -0.5),
        ("checkpoints_kept", 1),
        ("updates_per_step", -1.0),
        ("eval_every", -1),
    ],
)
def test_a_bad_value_is_named_with_what_was_expected(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"TrainingOptions\.{name} = {value}: expected "):
        TrainingOptions(**{name: value})


def test_bounds_themselves_are_accepted() -> None:
    TrainingOptions(
        steps=1,
        seed_steps=1,
        updates_per_step=0.0,
        eval_every=0,
        checkpoint_minutes=0.0,
        checkpoints_kept=2,
    )


def test_the_seed_phase_has_five_episodes_but_at_least_1000_steps() -> None:
    assert TrainingOptions().seed_phase(500) == 2500
    assert TrainingOptions().seed_phase(25) == 1000
    assert TrainingOptions(seed_steps=60).seed_phase(500) == 60


def test_a_seed_phase_may_be_over_once_so_many_episodes_have_ended() -> None:
    assert not TrainingOptions().seeded_early(4000, 400)
    options = TrainingOptions(seed_episodes=5)
    assert options.seed_phase(1000) == 5000  # at most
    assert options.shortest_seed_phase(1000) == 1000
    assert TrainingOptions().shortest_seed_phase(1000) == 5000
    assert TrainingOptions(seed_steps=60, seed_episodes=5).shortest_seed_phase(1000) == 60
    states = [(999, 40), (1000, 4), (1000, 5), (1001, 5)]
    assert [options.seeded_early(*state) for state in states] == [False, False, True, True]


@pytest.mark.parametrize(
    ("step", "due"),
    [(14, False), (15, True), (17, True), (18, False), (32, True), (40, True), (44, True)],
)
def test_an_evaluation_is_due_where_a_step_passes_the_interval_or_the_end(
    step: int, due: bool
) -> None:
    options = TrainingOptions(steps=40, eval_every=15)
    assert options.evaluation_due(step - 3, step) == due  # three environments


def test_losses_are_due_once_an_interval() -> None:
    options = TrainingOptions(log_every=12)
    due = [(0, 11), (0, 12), (12, 23), (11, 25), (12, 24)]
    assert [options.record_due(*steps) for steps in due] == [False, True, False, True, True]
