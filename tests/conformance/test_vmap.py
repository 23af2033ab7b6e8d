"""Several agents at once: stacked parameters under ``torch.vmap`` give each agent's own numbers.

Plans, both losses and a whole update are functions of parameters, scales, batch and draws, so that
a population in one process needs no other code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from support.agents import build, random_batch, update
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.core.types import EnvSpec
from mppi_zoo.objective.prior import LearnedPrior

SPEC = EnvSpec(5, 3, 100, episodic=True)
COUNT = 2
Tensors = dict[str, Tensor]


class Whole(nn.Module):
    """An agent's parts as one module; calling it calls a function of them."""

    def __init__(self, agent: POMPCAgent):
        super().__init__()
        self.parts = nn.ModuleDict(agent.parts._asdict())

    def forward(self, function: Callable[[], Any]) -> Any:
        return function()


def agents(member: str) -> list[POMPCAgent]:
    """Agents of other parameters, scales and optimiser states, after some updates each."""
    made = [build(member, SPEC, dtype=torch.float32, seed=seed) for seed in range(COUNT)]
    for agent in made:
        with torch.no_grad():  # as initialised all candidates are worth the same
            for net in (agent.world_model.reward_net, agent.critic.online):
                list(net.parameters())[-2].normal_(0.0, 0.1)
        for number in range(3):
            batch = random_batch(SPEC, seed=number, dtype=torch.float32)
            update(agent, batch, agent.draw_update_noise(batch, generator(number)))
    return made


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stacked(made: list[POMPCAgent]) -> tuple[Tensors, Tensors]:
    """Parameters and buffers [agents, ...] by name."""
    parameters, buffers = stack_module_state([Whole(agent) for agent in made])  # pyright: ignore
    return {n: p.detach() for n, p in parameters.items()}, buffers


def close(ours: Tensor, theirs: list[Tensor], what: str) -> None:
    for number, expected in enumerate(theirs):
        error = (ours[number] - expected).abs() / (1 + expected.abs())
        assert float(error.max()) < 1e-6, f"{what} of agent {number}: {float(error.max()):.1e}"


@pytest.mark.parametrize("member", ["tdmpc2_equiv", "bmpc_equiv", "pompc_adaptive_fkl"])
def test_plans(member: str) -> None:
    made = agents(member)
    one = made[0]
    whole, (parameters, buffers) = Whole(one), stacked(made)
    obs = torch.randn(2, SPEC.obs_dim, generator=generator(1))
    noise = one.draw_plan_noise(2, generator(2))
    model = one.view(one.networks, one.replan_log_std_bounds)

    def plan(*state: Tensors) -> Any:
        return functional_call(whole, state, (lambda: one.plan(model, obs, noise, greedy=True),))

    together = vmap(plan)(parameters, buffers)
    alone = [agent.replan(obs, noise) for agent in made]
    close(together.mean, [result.mean for result in alone], "plan")
    close(together.value, [result.value for result in alone], "value")
    assert not torch.allclose(together.mean[0], together.mean[1])


@pytest.mark.parametrize("member", ["tdmpc2_equiv", "bmpc_equiv", "boom_equiv", "pompc_replay"])
def test_losses(member: str) -> None:
    made = agents(member)
    one = made[0]
    whole, (parameters, buffers) = Whole(one), stacked(made)
    batch = random_batch(SPEC, dtype=torch.float32, terminations=True)
    noise = one.draw_update_noise(batch, generator(3))
    weights = one.objective.lam.weights(0)

    def losses(agent: POMPCAgent) -> tuple[Tensor, Tensor, Any]:
        model = agent.model_loss(agent.parts, batch, noise, agent.objective.lam.weights(0))
        z, scales = agent.objective.latents(model.zs.detach()), agent.objective.statistics()
        prior = agent.prior.dist(z, batch)
        policy = agent.policy_loss(agent.parts, scales, z, prior, batch, weights, noise)
        return model.loss, policy.loss, policy.statistics

    def together(*state: Tensors) -> Any:
        return functional_call(whole, state, (lambda: losses(one),))

    model, policy, scales = vmap(together)(parameters, buffers)
    before = [agent.objective.statistics().value.clone() for agent in made]
    alone = [losses(agent) for agent in made]
    close(model.detach(), [terms[0].detach() for terms in alone], "model loss")
    close(policy.detach(), [terms[1].detach() for terms in alone], "policy loss")
    close(scales.value, [terms[2].value for terms in alone], "scale of Q")
    # pure: the scales that are kept did not move
    after = [agent.objective.statistics().value for agent in made]
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))


# --- a whole update ------------------------------------------------------------------------------


class Moments:
    """Adam's state of several agents, by the parameters' names."""

    def __init__(self, made: list[POMPCAgent], names: list[str]):
        self.first, self.second = {}, {}
        for name in names:
            states = [state_of(agent, name) for agent in made]
            self.first[name] = torch.stack([state["exp_avg"] for state, _ in states])
            self.second[name] = torch.stack([state["exp_avg_sq"] for state, _ in states])
        self.groups = {name: state_of(made[0], name)[1] for name in names}
        self.step = int(state_of(made[0], names[0])[0]["step"])


def optimizer_of(agent: POMPCAgent, name: str) -> torch.optim.Adam:
    if name.startswith("parts.policy."):
        return agent.optimizers.policy.adam
    if name.startswith("parts.prior."):
        assert isinstance(agent.prior, LearnedPrior)
        return agent.prior.optimizer.adam
    return agent.optimizers.model.adam


def state_of(agent: POMPCAgent, name: str) -> tuple[Any, Any]:
    parameter = dict(Whole(agent).named_parameters())[name]
    adam = optimizer_of(agent, name)
    group = next(g for g in adam.param_groups if any(p is parameter for p in g["params"]))
    return adam.state[parameter], group


def clipped(gradients: Tensors, most: float = 20.0) -> Tensors:
    norm = torch.stack([g.square().sum() for g in gradients.values()]).sum().sqrt()
    factor = (most / (norm + 1e-6)).clamp(max=1.0)
    return {name: factor * gradient for name, gradient in gradients.items()}


def stepped(
    parameters: Tensors, gradients: Tensors, first: Tensors, second: Tensors, moments: Moments
) -> Tensors:
    """Adam's next parameters, by its formula."""
    step, moved = moments.step + 1, {}
    for name, gradient in clipped(gradients).items():
        group = moments.groups[name]
        (b1, b2), lr, eps = group["betas"], group["lr"], group["eps"]
        mean = (b1 * first[name] + (1 - b1) * gradient) / (1 - b1**step)
        spread = (b2 * second[name] + (1 - b2) * gradient.square()) / (1 - b2**step)
        moved[name] = parameters[name] - lr * mean / (spread.sqrt() + eps)
    return moved


@pytest.mark.parametrize("member", ["tdmpc2_equiv", "bmpc_equiv", "pompc_adaptive_fkl"])
def test_an_update(member: str) -> None:
    made = agents(member)
    one = made[0]
    whole, (parameters, buffers) = Whole(one), stacked(made)
    batch = random_batch(SPEC, dtype=torch.float32, terminations=True)
    noise = one.draw_update_noise(batch, generator(4))
    weights = one.objective.lam.weights(0)
    learned = [n for n, p in whole.named_parameters() if p.requires_grad]
    groups = {
        "model": [n for n in learned if n.startswith(("parts.world_model.", "parts.critic."))],
        "prior": [n for n in learned if n.startswith("parts.prior.")],
        "policy": [n for n in learned if n.startswith("parts.policy.")],
    }
    moments = Moments(made, [name for names in groups.values() for name in names])

    def part(tensors: Tensors, group: str) -> Tensors:
        return {name: tensors[name] for name in groups[group]}

    def updated(
        parameters: Tensors, buffers: Tensors, first: Tensors, second: Tensors
    ) -> tuple[Tensors, Any]:
        def moved(group: str, loss: Callable[[], tuple[Tensor, Any]]) -> Any:
            """Take one step of a group's optimiser; returns what the loss returned besides."""
            nonlocal parameters

            def of(chosen: Tensors) -> tuple[Tensor, Any]:
                return functional_call(whole, (parameters | chosen, buffers), (loss,))

            gradients, other = grad(of, has_aux=True)(part(parameters, group))
            chosen = part(parameters, group)
            new = stepped(chosen, gradients, part(first, group), part(second, group), moments)
            parameters = parameters | new
            return other

        def model() -> tuple[Tensor, Tensor]:
            terms = one.model_loss(one.parts, batch, noise, weights)
            return terms.loss, terms.zs.detach()

        zs = moved("model", model)
        z = one.objective.latents(zs)
        if groups["prior"]:
            assert isinstance(one.prior, LearnedPrior)
            fit = one.prior.loss
            moved("prior", lambda: (fit(zs[:-1], batch), zs))

        def policy() -> tuple[Tensor, Any]:
            prior, scales = one.prior.dist(z, batch), one.objective.statistics()
            terms = one.policy_loss(one.parts, scales, z, prior, batch, weights, noise)
            return terms.loss, terms.statistics

        scales = moved("policy", policy)
        rate = one.critic.target_rate
        for name in [n for n in parameters if ".target_net." in n]:
            online = parameters[name.replace(".target_net.", ".online.")]
            parameters = parameters | {name: parameters[name].lerp(online, rate)}
        return parameters, scales

    together, scales = vmap(updated)(parameters, buffers, moments.first, moments.second)
    for agent in made:
        update(agent, batch, noise)
    alone = [dict(Whole(agent).named_parameters()) for agent in made]
    for name in together:
        close(together[name], [parameter[name].detach() for parameter in alone], name)
    close(scales.value, [agent.objective.statistics().value for agent in made], "scale of Q")
