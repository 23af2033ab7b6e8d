"""Evaluation: episodes that end at different times, the same ones for planner and policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from support.agents import build
from support.seeds import generator

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.envs import EpisodeVector
from mppi_zoo.envs.toy import EPISODE_STEPS
from mppi_zoo.training.evaluation import Episodes, Evaluator, run_episodes

# Env 0 runs out of the square at once, env 1 slowly, env 2 stays to the time limit.
SPEEDS = np.array([[1.0], [0.4], [0.0]], dtype=np.float32)


@pytest.fixture
def envs() -> Iterator[EpisodeVector]:
    with EpisodeVector("toy:point-terminating", 3, 5, "evaluation", render=True) as vector:
        yield vector


@pytest.fixture(scope="module")
def agent() -> POMPCAgent:
    with EpisodeVector("toy:point-terminating", 1, 5, "training") as vector:
        return build("pompc_replay", vector.spec, "iterations=1")


def outwards(obs: np.ndarray, running: np.ndarray) -> np.ndarray:
    return SPEEDS * np.where(obs < 0, -1, 1).astype(np.float32)


def test_episodes_that_end_at_different_times(envs: EpisodeVector) -> None:
    found = run_episodes(envs, outwards)
    quick, slow, whole = found.lengths
    assert quick < slow < whole == EPISODE_STEPS
    assert found.terminated.tolist() == [True, True, False]
    assert found.obs.shape == (EPISODE_STEPS + 1, 3, 2)
    # what an environment does after its episode does not count
    reward = np.zeros((EPISODE_STEPS, 3))
    for env, length in enumerate(found.lengths):
        obs = found.obs[:length, env].astype(np.float64)
        action = SPEEDS[env] * np.where(obs < 0, -1, 1)
        reward[:length, env] = 1 - 0.5 * np.square(action + obs).sum(-1)
    np.testing.assert_allclose(found.rewards, reward, atol=1e-5)
    np.testing.assert_allclose(found.returns, reward.sum(0), atol=1e-5)
    assert (np.abs(found.obs[quick, 0]) > 1).any() and not found.frames


def test_metrics_are_those_of_the_episodes(envs: EpisodeVector) -> None:
    found = run_episodes(envs, outwards)
    assert found.metrics() == pytest.approx(
        {
            "episode_return": found.returns.mean(),
            "episode_return_std": found.returns.std(),
            "episode_return_min": found.returns.min(),
            "episode_return_max": found.returns.max(),
            "episode_length": found.lengths.mean(),
        }
    )


def test_the_film_is_of_the_first_episode_alone(envs: EpisodeVector) -> None:
    found = run_episodes(envs, outwards, film=True)
    # with what was seen before the first step
    assert len(found.frames) == found.lengths[0] + 1 and found.no_film == ""


def test_a_camera_that_fails_costs_the_film_alone(
    envs: EpisodeVector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def render(self: EpisodeVector, index: int) -> np.ndarray:
        raise OSError("no display")

    start = np.zeros(3, dtype=np.int64)
    envs.episode = start
    plain = run_episodes(envs, outwards)
    monkeypatch.setattr(EpisodeVector, "render", render)
    envs.episode = start
    found = run_episodes(envs, outwards, film=True)
    assert not found.frames and "rendering failed (OSError: no display)" in found.no_film
    assert np.array_equal(found.obs, plain.obs) and np.array_equal(found.returns, plain.returns)


def test_an_evaluation_depends_on_its_step_alone(envs: EpisodeVector, agent: POMPCAgent) -> None:
    evaluator = Evaluator(envs, seed=5)
    planner, policy = evaluator.planner(Execution(agent), 40), evaluator.policy(agent, 40)
    assert np.array_equal(planner.obs[0], policy.obs[0])  # the same episodes for both
    other = evaluator.planner(Execution(agent), 80)
    assert not np.array_equal(other.obs[0], planner.obs[0])
    again = evaluator.planner(Execution(agent), 40)
    assert np.array_equal(again.obs, planner.obs) and np.array_equal(again.rewards, planner.rewards)


def test_each_step_may_abandon_an_evaluation(envs: EpisodeVector, agent: POMPCAgent) -> None:
    class Stop(Exception):
        pass

    left = [3]

    def each_step() -> None:
        left[0] -= 1
        if not left[0]:
            raise Stop

    with pytest.raises(Stop):
        Evaluator(envs, 5, each_step).policy(agent, 0)


def test_only_those_in_their_first_episode_are_planned(
    envs: EpisodeVector, agent: POMPCAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = Execution(agent)
    planned: list[int] = []
    act = execution.act

    def noted(obs: torch.Tensor, *rest: Any, **more: Any) -> Any:
        planned.append(len(obs))
        return act(obs, *rest, **more)

    monkeypatch.setattr(execution, "act", noted)
    found = Evaluator(envs, 5).planner(execution, 40)
    steps = np.arange(len(found.rewards))
    assert planned == (steps[:, None] < found.lengths).sum(1).tolist()
    assert planned[0] == 3 and planned[-1] < 3


def test_an_episode_does_not_depend_on_who_else_still_runs(
    envs: EpisodeVector, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = build("pompc_replay", envs.spec, "iterations=1")
    with torch.no_grad():  # at the start all values are equal, and rounding orders the elites
        for parameter in (*agent.world_model.parameters(), *agent.critic.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=generator()), alpha=0.1)
    found = Evaluator(envs, 5).planner(Execution(agent), 40)
    monkeypatch.setattr(type(agent.planner), "knows_states", False)  # so all are planned
    whole = Evaluator(envs, 5).planner(Execution(agent), 40)
    first = found.lengths.min()  # from then on fewer are planned; rounding grows from there
    assert first == whole.lengths.min() < found.lengths.max()
    np.testing.assert_allclose(found.rewards[: first + 1], whole.rewards[: first + 1], atol=1e-4)


def test_success_is_counted_at_any_step_and_at_the_last() -> None:
    nan = np.nan
    # the first is solved for a while, the second from its last step on, the third never
    success = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, nan, nan]])
    zeros = np.zeros(3)
    lengths = np.array([4, 3, 3])
    outcome = Episodes(
        zeros, lengths, [], np.zeros((5, 3, 1)), np.zeros((4, 3)), zeros > 0, success
    )
    assert outcome.success_rate == pytest.approx(2 / 3)
    assert outcome.success_at_end == pytest.approx(1 / 3)
    assert outcome.metrics()["success_rate"] == outcome.success_rate
    silent = outcome._replace(success=np.full((4, 3), nan))
    assert silent.success_rate is None and "success_rate" not in silent.metrics()
