"""The termination head against what happened, where all is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support.agents import build

from mppi_zoo.core.types import EnvSpec
from mppi_zoo.training.evaluation import Episodes
from mppi_zoo.training.termination_metrics import termination_metrics, visited

SPEC = EnvSpec(obs_dim=1, action_dim=2, episode_length=10, episodic=True)


def episodes() -> Episodes:
    """One ends for good after 3 steps, one is cut after 2; observations tell which and when."""
    obs = np.array([[[0], [10]], [[1], [11]], [[2], [12]], [[3], [0]]], dtype=np.float32)
    lengths, over = np.array([3, 2]), np.array([True, False])
    return Episodes(np.zeros(2), lengths, [], obs, np.zeros((3, 2)), over)


def test_ends_are_those_of_episodes_that_terminated() -> None:
    obs, ends = visited(episodes())
    assert obs[:, 0].tolist() == [1, 2, 3, 11, 12]
    assert ends.tolist() == [False, False, True, False, False]


@pytest.mark.parametrize(("bias", "seen", "mean"), [(3.0, 1, 0.95), (-3.0, 0, 0.05)])
def test_recall_calibration_and_spread(bias: float, seen: float, mean: float) -> None:
    agent = build("tdmpc2_equiv", SPEC)
    parts: Any = (agent.world_model.termination_net, agent.policy.net)
    with torch.no_grad():
        for last in (part[-1] for part in parts):
            last.weight.zero_()
        parts[0][-1].bias.fill_(bias)
        parts[1][-1].bias.copy_(torch.tensor([0.0, 0.0, 5.0, -5.0]))  # one std at its bound
    found = termination_metrics(agent, episodes(), episodes())
    assert found["termination_recall"] == found["termination_false_alarms"] == seen
    assert found["termination_predicted"] == pytest.approx(mean, abs=0.005)
    assert found["termination_happened"] == pytest.approx(1 / 5)
    assert found["policy_std_at_bound"] == 0.5 and found["policy_action_spread"] == 0


def test_tasks_without_terminations_have_none() -> None:
    plain = build("tdmpc2_equiv", EnvSpec(obs_dim=1, action_dim=2, episode_length=10))
    assert termination_metrics(plain, episodes()) == {}
