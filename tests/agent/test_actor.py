"""The actor keeps the plans of its environments, and forgets those of episodes that begin anew."""

from __future__ import annotations

import numpy as np
import torch
from support.agents import build
from support.seeds import SPEC, generator

from mppi_zoo.agent.actor import Actor
from mppi_zoo.agent.execution import Execution


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
