"""The return as a mean over depths and dynamics heads, and what their disagreement costs
(docs/method.md, section 8)."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks.test_dynamics import ensemble, single_of
from planning.test_mppi import WAVY, assert_same, draws, mortal_step, planner, run, start
from support.agents import build
from torch import Tensor

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.views import all_heads_view, mean_view, pessimistic_view
from mppi_zoo.core.types import EnvSpec
from mppi_zoo.planning.base import PlanningModel
from mppi_zoo.planning.depth_average import DepthAverage
from mppi_zoo.planning.mppi import MPPIPlanner, PlanIteration
from mppi_zoo.planning.scoring import TerminalReturn

FEW = settings(max_examples=4)  # each builds agents
SPEC = EnvSpec(5, 2, 100, episodic=True)
ENDLESS = EnvSpec(5, 2, 100)
AVERAGE = "MPPIPlanner.scoring=@DepthAverage()"
seeds = st.integers(0, 10_000)
MORTAL = WAVY._replace(step=mortal_step)


@given(seed=seeds, horizon=st.integers(1, 4))
def test_the_horizon_alone_is_the_terminal_return(seed: int, horizon: int) -> None:
    plain = planner(horizon=horizon, scoring=TerminalReturn())
    average = planner(horizon=horizon, scoring=DepthAverage((horizon,)))
    noise, z = draws(plain, seed), start(seed)
    assert_same(run(average, MORTAL, z, noise)[0], run(plain, MORTAL, z, noise)[0])


def planned(agent: POMPCAgent, model: PlanningModel, seed: int) -> list[PlanIteration]:
    """The iterations of a plan for three states."""
    assert isinstance(agent.planner, MPPIPlanner)
    seen: list[PlanIteration] = []
    z = agent.world_model.encode(torch.randn(3, 5, generator=draw(seed), dtype=torch.float64))
    noise = agent.draw_plan_noise(3, draw(seed + 1))
    agent.planner.plan(z, model, noise, on_iteration=seen.append)
    return seen


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@FEW
@given(seed=seeds, member=st.sampled_from(["tdmpc2_equiv", "pompc_v"]), inturn=st.booleans())
def test_one_head_to_the_horizon_is_the_published_planner(
    seed: int, member: str, inturn: bool
) -> None:
    """To the last bit, for agents with terminations and V or Q critics (method.md, section 4)."""
    one_head = ensemble(member, 1, seed, AVERAGE, "DepthAverage.depths=(3,)")
    single = single_of(one_head, member, 0)
    view = mean_view if inturn else all_heads_view
    model = pessimistic_view(one_head.networks, (-2.0, 1.0), view, 3.0)
    ours = planned(one_head, model, seed)
    theirs = planned(single, mean_view(single.networks, (-2.0, 1.0)), seed)
    for iteration, expected in zip(ours, theirs, strict=True):
        for name, value in iteration._asdict().items():
            assert torch.equal(value, getattr(expected, name)), name
    assert ours[0].value.std() > 0


def by_hand(agent: POMPCAgent, iteration: PlanIteration, number: int, seed: int) -> Tensor:
    """Returns [heads, depths, B, N] of an iteration's candidates, head by head."""
    noise = agent.draw_plan_noise(3, draw(seed + 1))
    obs = torch.randn(3, 5, generator=draw(seed), dtype=torch.float64)
    returns = []
    for head in range(agent.world_model.dynamics.heads):
        one = single_of(agent, "tdmpc2_equiv", head)
        model = mean_view(one.networks, None)
        z = one.world_model.encode(obs).unsqueeze(1).expand(-1, iteration.actions.shape[2], -1)
        total, discount = torch.zeros(z.shape[:-1]).double(), torch.ones(z.shape[:-1]).double()
        depths = []
        for action in iteration.actions:
            z, reward, further = model.step(z, action)
            total = total + discount * reward
            discount = discount * further
            value = model.value(z, noise.terminal[number], noise.heads[number])
            depths.append(total + discount * value)
        returns.append(torch.stack(depths))
    return torch.stack(returns)


@FEW
@given(seed=seeds, heads=st.integers(1, 3), coefficient=st.sampled_from([0.0, 0.7, 2.0]))
def test_scores_are_means_over_heads_and_depths_minus_their_spread(
    seed: int, heads: int, coefficient: float
) -> None:
    # where all heads end an episode at the first step, nothing is left to disagree about
    agent = ensemble("tdmpc2_equiv", heads, seed, AVERAGE, spec=ENDLESS)
    model = pessimistic_view(agent.networks, None, all_heads_view, coefficient)
    for number, iteration in enumerate(planned(agent, model, seed)[:2]):
        returns = by_hand(agent, iteration, number, seed).flatten(0, 1)
        deviation = (returns - returns.mean(0)).square().mean(0).sqrt()
        expected = returns.mean(0) - coefficient * deviation
        assert torch.allclose(iteration.value, expected, rtol=1e-8, atol=1e-8)
        assert deviation.min() > 0


@FEW
@given(seed=seeds, heads=st.integers(2, 4))
def test_candidates_dealt_out_see_one_head_each(seed: int, heads: int) -> None:
    agent = ensemble("tdmpc2_equiv", heads, seed, AVERAGE)
    iteration = planned(agent, mean_view(agent.networks, None), seed)[0]
    returns = by_hand(agent, iteration, 0, seed).mean(1)
    assert isinstance(agent.planner, MPPIPlanner)
    proposals, candidates = agent.planner.policy_samples, agent.planner.samples
    # proposals and drawn candidates are followed apart, and dealt out from the first head on
    places = [*range(proposals), *range(candidates - proposals)]
    for candidate, place in enumerate(places):
        expected = returns[place % heads, :, candidate]
        assert torch.allclose(iteration.value[:, candidate], expected, rtol=1e-8, atol=1e-8)


@FEW
@given(seed=seeds, coefficient=st.sampled_from([0.0, 1.0]))
def test_without_a_coefficient_a_pessimist_is_none(seed: int, coefficient: float) -> None:
    # where all heads end an episode at the first step, nothing is left to disagree about
    agent = ensemble("tdmpc2_equiv", 2, seed, AVERAGE, spec=ENDLESS)
    pessimist = pessimistic_view(agent.networks, None, all_heads_view, coefficient)
    ours = planned(agent, pessimist, seed)[0].value
    theirs = planned(agent, all_heads_view(agent.networks, None), seed)[0].value
    assert torch.equal(ours, theirs) == (coefficient == 0)
    assert (ours <= theirs).all()


def test_re_analysis_alone_is_pessimistic() -> None:
    agent = build("efficient_pompc", SPEC)
    estimates = torch.tensor([[[1.0]], [[3.0]]])
    acting, replanning = (view(agent.networks, None) for view in (agent.view, agent.replan_view))
    assert acting.combine(estimates) == 2 and replanning.combine(estimates) == 1
    everywhere = build("efficient_tdmpc", SPEC, "POMPCAgent.view=@pessimistic_view")
    for view in (everywhere.view, everywhere.replan_view):
        assert view(everywhere.networks, None).combine(estimates) == 1


def test_what_does_not_fit_is_refused() -> None:
    agent = build("efficient_tdmpc", SPEC, "MPPIPlanner.scoring=@TerminalReturn()")
    obs = torch.zeros(1, 5, dtype=torch.float64)
    with pytest.raises(ValueError, match="scoring = @DepthAverage"):
        agent.act(obs, agent.draw_plan_noise(1, draw(0)))
    deep = build("efficient_tdmpc", SPEC, "DepthAverage.depths=(2, 4)")
    with pytest.raises(ValueError, match=r"depths = \[2, 4\]: expected depths of at most.*= 3"):
        deep.act(obs, deep.draw_plan_noise(1, draw(0)))
    for depths in ((), (2, 2), (0,)):
        with pytest.raises(ValueError, match="DepthAverage.depths"):
            DepthAverage(depths)
