"""Rules of what is left of the discount after a predicted end (docs/method.md, section 4)."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from support.agents import build, random_batch
from torch.nn import functional as F

from mppi_zoo.core.types import EnvSpec
from mppi_zoo.networks.alive import ExpectedAlive, HardCut

SPEC = EnvSpec(obs_dim=3, action_dim=2, episode_length=50, episodic=True)


def test_the_hard_cut_is_at_its_threshold() -> None:
    probability = torch.tensor([0.0, 0.1, 0.29, 0.31, 0.5, 0.51, 1.0], dtype=torch.float64)
    logit = probability.logit()
    assert HardCut()(logit).tolist() == [1, 1, 1, 1, 1, 0, 0]
    assert HardCut(0.3)(logit).tolist() == [1, 1, 1, 0, 0, 0, 0]
    torch.testing.assert_close(ExpectedAlive()(logit), 1 - probability)


@pytest.mark.parametrize("rule", ["ExpectedAlive", "HardCut"])
def test_planner_and_targets_see_the_rule(rule: str) -> None:
    """A model whose head always says 0.2: the discount is that of the rule, at every step."""
    agent = build("bmpc_equiv", SPEC, f"WorldModel.alive=@{rule}()", "WorldModel.discount=0.9")
    head: Any = agent.world_model.termination_net
    with torch.no_grad():
        for parameter in head[-1].parameters():
            parameter.zero_()
        head[-1].bias.fill_(math.log(0.2 / 0.8))
    z = agent.world_model.encode(torch.randn(4, 3, dtype=agent.dtype))
    action = torch.zeros(4, 2, dtype=agent.dtype)
    expected = torch.full((4,), 0.9 * (0.8 if rule == "ExpectedAlive" else 1.0), dtype=agent.dtype)
    torch.testing.assert_close(agent.world_model.step(z, action).discount, expected)
    torch.testing.assert_close(agent.world_model.step_each(z, action).discount, expected)
    torch.testing.assert_close(agent._acting.step(z, action).discount, expected)


def test_terminal_steps_can_weigh_more_in_the_heads_loss() -> None:
    batch = random_batch(SPEC, terminations=True)

    def loss(weight: float) -> tuple[float, torch.Tensor]:
        agent = build("tdmpc2_equiv", SPEC, f"WorldModel.terminal_weight={weight}")
        model: Any = agent.world_model
        zs = model.rollout(model.encode(batch.obs[0]), batch.action)
        next_z = model.encode(batch.obs[1:])
        found = model.losses(zs, next_z, batch.action, batch.reward, batch.terminated, 0.5)
        logit = model.termination_net(zs[1:]).squeeze(-1)
        return float(found["termination"].detach()), logit.detach()

    plain, logit = loss(1.0)
    each = F.binary_cross_entropy_with_logits(logit, batch.terminated, reduction="none")
    assert plain == pytest.approx(float(each.mean()))
    heavy = each * (1 + 4 * batch.terminated)
    assert loss(5.0)[0] == pytest.approx(float(heavy.mean()))
