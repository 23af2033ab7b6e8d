"""The actor keeps the plans of its environments, and forgets those of episodes that begin anew."""

from __future__ import annotations

import numpy as np
import torch
from support.agents import build
from support.seeds import SPEC, generator

from mppi_zoo.agent.actor import Actor
from mppi_zoo.agent.execution import Execution
from mppi_zoo.planning.mppi import MPPIPlanner


def test_an_episode_begins_without_a_plan() -> None:
    """The plans' memory is kept for each environment and forgotten for those that begin anew."""
    agent = build("tdmpc2_equiv", SPEC)
    actor, obs = (
        Actor(Execution(agent), 3, generator()),
        np.random.default_rng(0).normal(size=(3, 5)),
    )
    result = actor.act(obs, greedy=False).result
    begun = np.array([False, True, False])
    actor.reset(begun)
    kept, forgotten = actor.warm_start[:, ~begun], actor.warm_start[:, begun]
    assert torch.equal(kept, result.mean[:, ~begun]) and (kept != 0).any()
    assert (forgotten == 0).all()
    noise = agent.draw_plan_noise(3, generator(1))
    expected = agent.act(agent.tensor(obs), noise, warm_start=actor.warm_start)
    actor.generator = generator(1)
    actor.act(obs, greedy=False)
    assert torch.equal(actor.warm_start, expected.mean)
    actor.reset()
    assert (actor.warm_start == 0).all()


def test_an_actor_plans_for_those_that_run() -> None:
    agent = build("tdmpc2_equiv", SPEC)
    with torch.no_grad():  # at the start all values are equal, and rounding orders the elites
        for parameter in (*agent.world_model.parameters(), *agent.critic.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=generator()), alpha=0.1)
    obs = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    every, some = (Actor(Execution(agent), 4, generator()) for _ in range(2))
    expected = every.act(obs, greedy=True)
    running = np.array([False, True, False, True])
    action = some.act_running(obs, running)
    # each with its own draws; one product for fewer rows may round otherwise
    np.testing.assert_allclose(action[running], expected.action[running], atol=1e-4)
    assert (action[~running] == 0).all() and (some.warm_start[:, ~running] == 0).all()
    torch.testing.assert_close(some.warm_start[:, running], every.warm_start[:, running])
    assert torch.equal(some.generator.get_state(), every.generator.get_state())


def test_compiled_code_is_given_whole_pieces() -> None:
    agent = build("tdmpc2_equiv", SPEC)
    execution = Execution(agent)
    actor = Actor(execution, 10, generator())

    def planned(count: int) -> int:
        return len(actor._rows(np.arange(10) >= 10 - count))

    assert [planned(count) for count in (10, 7, 2, 1)] == [10, 7, 2, 1]
    assert actor._rows(np.array([False, True] * 5)).tolist() == [1, 3, 5, 7, 9]
    execution.compiled = agent.planner.compiled = True
    assert [planned(count) for count in (10, 7, 2, 1)] == [10, 7, 2, 1]  # less than a piece
    planner = agent.planner
    assert isinstance(planner, MPPIPlanner)
    planner.cached_numbers = 4 * planner.samples * agent.world_model.latent_dim
    assert [planned(count) for count in (10, 9, 8, 5, 4, 2, 1)] == [10, 10, 8, 8, 4, 4, 1]
