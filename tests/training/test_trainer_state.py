"""The trainer's state as plain data and back."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch

from mppi_zoo.training.trainer_state import TrainerState

COUNTERS = {
    "step": 340,
    "updates": 120,
    "updates_owed": 0.5,
    "pretraining_left": 7,
    "evaluation_due": True,
    "best_return": 12.25,
    "last_log": 300,
}


def under_way() -> TrainerState:
    return TrainerState(np.array([1.5, -2.0, 0.25]), np.array([3, 1, 9]), **COUNTERS)


def test_the_state_survives_plain_data() -> None:
    taken = under_way()
    given = TrainerState.initial(3)
    given.load_state_dict(taken.state_dict())
    for field in fields(TrainerState):
        np.testing.assert_array_equal(getattr(given, field.name), getattr(taken, field.name))


def test_the_layout_is_that_of_checkpoints_on_disk() -> None:
    state = under_way().state_dict()
    assert state["counters"] == COUNTERS
    assert state.keys() == {"counters", "episode_return", "episode_length", "episode_success"}
    assert state["episode_return"].dtype == torch.float64
    assert state["episode_length"].dtype == torch.int64


def test_the_plain_data_does_not_change_with_the_state() -> None:
    state = under_way()
    taken = state.state_dict()
    restored = TrainerState.initial(3)
    restored.load_state_dict(taken)
    for changing in (state, restored):
        changing.step += 1
        changing.episode_return += 1
        changing.episode_length += 1
    assert taken["counters"]["step"] == 340
    assert taken["episode_return"].tolist() == [1.5, -2.0, 0.25]
    assert taken["episode_length"].tolist() == [3, 1, 9]


def test_a_state_of_other_environments_is_refused_and_nothing_changes() -> None:
    other = TrainerState.initial(2)
    with pytest.raises(ValueError, match=r"episode_return is of 3 environments, expected 2"):
        other.load_state_dict(under_way().state_dict())
    assert other.step == 0 and other.episode_return.tolist() == [0, 0]


def test_a_missing_counter_is_an_error() -> None:
    state = under_way().state_dict()
    del state["counters"]["updates_owed"]
    with pytest.raises(KeyError, match="updates_owed"):
        TrainerState.initial(3).load_state_dict(state)


def test_episodes_begin_where_the_mask_says() -> None:
    state = under_way()
    state.begin_episodes(np.array([False, True, False]))
    assert state.episode_return.tolist() == [1.5, 0.0, 0.25]
    assert state.episode_length.tolist() == [3, 0, 9]
