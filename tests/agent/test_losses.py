"""The losses as open records: terms by name, gain and cost apart, nothing moved inside."""

from __future__ import annotations

import pytest
import torch
from support.agents import build, random_batch, update
from torch import Tensor

from mppi_zoo.agent.losses import ModelLoss, PolicyTerms
from mppi_zoo.agent.parts import Parts
from mppi_zoo.core.optim import ClippedAdam
from mppi_zoo.core.types import Batch, EnvSpec
from mppi_zoo.objective.kl_objective import KLObjective

SPEC = EnvSpec(5, 3, 100)


class LatentSize:
    """A term of a user's own: the mean square of the roll-out."""

    name = "size"

    def __call__(self, parts: Parts, batch: Batch, zs: Tensor) -> Tensor:
        return zs.square().mean()


def noise_for(agent, batch, seed: int = 0):
    return agent.draw_update_noise(batch, torch.Generator().manual_seed(seed))


def test_a_term_is_added_by_name() -> None:
    agent, batch = build("tdmpc2_equiv", SPEC), random_batch(SPEC)
    noise = noise_for(agent, batch)
    plain = agent.model_loss(agent.parts, batch, noise, agent.objective.lam.weights(0))
    agent.model_loss = ModelLoss(terms=[LatentSize()], weights={"size": 0.5})
    terms = agent.model_loss(agent.parts, batch, noise, agent.objective.lam.weights(0))
    size = terms.zs.detach().square().mean()
    assert torch.equal(terms.metrics["size_loss"], size)
    torch.testing.assert_close(terms.loss, plain.loss + 0.5 * size)
    assert "size_loss" in update(agent, batch, noise)  # and no change of the agent


def test_the_loss_is_the_weighted_sum_of_its_terms() -> None:
    agent, batch = build("tdmpc2_equiv", SPEC), random_batch(SPEC)
    weights = {"consistency": 3.0, "reward": 0.2, "value": 0.7, "termination": 0.0}
    loss, lam = ModelLoss(3.0, 0.2, 0.7, 0.0), agent.objective.lam.weights(0)
    metrics = loss(agent.parts, batch, noise_for(agent, batch), lam).metrics
    expected = sum(weight * metrics[f"{name}_loss"] for name, weight in weights.items())
    torch.testing.assert_close(metrics["model_loss"], expected)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (ModelLoss(terms=[LatentSize()]), "add size to ModelLoss.weights"),
        (ModelLoss(weights={"consistncy": 1.0}), "ModelLoss.weights has consistncy, no term"),
    ],
)
def test_terms_and_weights_that_do_not_match_are_named(loss: ModelLoss, words: str) -> None:
    agent, batch = build("tdmpc2_equiv", SPEC), random_batch(SPEC)
    with pytest.raises(ValueError, match=words):
        loss(agent.parts, batch, noise_for(agent, batch), agent.objective.lam.weights(0))


def test_rho_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ModelLoss.rho = 0.0: expected a number in \(0, 1\]"):
        ModelLoss(rho=0.0)


class Apart:
    """An update rule that differentiates gain and cost by themselves."""

    def __init__(self) -> None:
        self.gradients: list[list[Tensor]] = []

    def check(self, objective: KLObjective) -> None:
        """Every objective fits."""

    def step(self, terms: PolicyTerms, optimizer: ClippedAdam) -> dict[str, Tensor]:
        for term in (terms.gain, terms.cost):
            found = torch.autograd.grad(term, optimizer.params, retain_graph=True)
            self.gradients.append(list(found))
        return {"policy_grad_norm": optimizer.step(terms.cost - terms.gain)}


def test_another_update_rule_gets_both_gradients() -> None:
    one, two = (build("pompc_replay", SPEC) for _ in range(2))
    batch = random_batch(SPEC)
    rule = Apart()
    two.policy_update = rule
    metrics = [update(agent, batch, noise_for(agent, batch)) for agent in (one, two)]
    torch.testing.assert_close(metrics[0]["policy_grad_norm"], metrics[1]["policy_grad_norm"])
    for gain, cost, whole in zip(*rule.gradients, one.policy.parameters(), strict=True):
        assert (
            whole.grad is not None and float(gain.abs().sum()) > 0 and float(cost.abs().sum()) > 0
        )
        clip = min(1.0, 20.0 / (float(metrics[0]["policy_grad_norm"]) + 1e-6))
        torch.testing.assert_close(clip * (cost - gain), whole.grad, rtol=1e-7, atol=1e-10)


def test_a_loss_moves_nothing() -> None:
    agent, batch = build("pompc_adaptive_fkl", SPEC), random_batch(SPEC)
    agent.objective.value_scale.value.fill_(3.0)
    before = {n: t.clone() for m in agent.parts for n, t in m.state_dict().items()}
    noise = noise_for(agent, batch)
    zs = agent.model_loss(agent.parts, batch, noise, agent.objective.lam.weights(0)).zs.detach()
    z, scales = agent.objective.latents(zs), agent.objective.statistics()
    weights = agent.objective.lam.weights(0)
    prior = agent.prior.dist(z, batch)
    terms = agent.policy_loss(agent.parts, scales, z, prior, batch, weights, noise)
    assert not torch.equal(terms.statistics.value, scales.value)
    after = {n: t for m in agent.parts for n, t in m.state_dict().items()}
    assert all(torch.equal(before[name], after[name]) for name in before)
