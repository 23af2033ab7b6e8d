"""A controller and the exported programs act on good observations, with a good agent, or not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.agents import build_execution

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.checkpoint import load_agent, save_agent
from mppi_zoo.agent.execution import Execution
from mppi_zoo.core.types import EnvSpec
from mppi_zoo.deploy import export
from mppi_zoo.deploy.controller import Controller
from mppi_zoo.deploy.observations import UnusableObservation, flatten, refuse_unusable

SIZE = 5
SMALL = ("iterations=1", "horizon=2")
BOUNDS = np.full(2, -3.0, np.float32), np.full(2, 3.0, np.float32)


def execution() -> Execution:
    return build_execution("tdmpc2_equiv", EnvSpec(SIZE, 2, 100), *SMALL, dtype=torch.float32)


def with_entry(index: int, value: float) -> np.ndarray:
    obs = np.zeros(SIZE)
    obs[index] = value
    return obs


def spoil(agent: POMPCAgent, value: float) -> None:
    with torch.no_grad():
        list(agent.world_model.parameters())[0].view(-1)[3] = value


@pytest.fixture(scope="module")
def controller() -> Controller:
    return Controller(execution(), *BOUNDS)


@pytest.mark.parametrize("planner", [True, False])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30, 1e300])
def test_a_bad_entry_is_named(controller: Controller, planner: bool, value: float) -> None:
    with pytest.raises(
        UnusableObservation, match=re.escape(f"observation[3] = {value:g}: ")
    ) as caught:
        controller.act(with_entry(3, value), planner=planner)
    assert caught.value.index == 3


@given(st.lists(st.floats(width=64), min_size=SIZE, max_size=SIZE))
def test_no_action_but_from_a_good_observation(controller: Controller, obs: list[float]) -> None:
    good = all(abs(x) <= 1e10 for x in obs)
    try:
        action = controller.act(np.array(obs), native=True, planner=False)
    except UnusableObservation:
        assert not good
    else:
        assert good and np.isfinite(action).all() and (np.abs(action) <= 3.0).all()


@pytest.mark.parametrize(
    ("obs", "message"),
    [
        (np.zeros(4), "4 numbers, the agent was trained on 5"),
        ({"arm": np.zeros(5)}, "is a dict that is not made of numbers"),
        (["a"] * 5, "is a list that is not made of numbers"),
        (np.zeros(5, complex), "is a ndarray that is not made of numbers"),
        (None, "is a NoneType that is not made of numbers"),
    ],
)
def test_what_is_no_observation(controller: Controller, obs: object, message: str) -> None:
    with pytest.raises(UnusableObservation, match=message) as caught:
        controller.act(obs)  # pyright: ignore[reportArgumentType]
    assert caught.value.index is None


def test_how_many_entries_are_bad() -> None:
    with pytest.raises(UnusableObservation, match=r"observation\[0\] = nan, and 4 others: "):
        refuse_unusable(np.full(SIZE, np.nan))
    assert flatten([[1, 2], [3, 4]], 4).tolist() == [1.0, 2.0, 3.0, 4.0]


def test_another_check_can_be_given() -> None:
    seen: list[np.ndarray] = []
    own = Controller(execution(), *BOUNDS, check=seen.append)
    own.act(with_entry(1, 1e11), planner=False)
    assert seen[0][1] == 1e11


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_agent_that_is_not_finite_does_not_act(value: float) -> None:
    run = execution()
    controller = Controller(run, *BOUNDS)
    controller.act(np.zeros(SIZE))
    spoil(run.agent, value)
    for planner in (True, False):
        with pytest.raises(ValueError, match=r"parameters world_model\.\S+ of the agent are not"):
            controller.act(np.zeros(SIZE), planner=planner)
    with pytest.raises(ValueError, match="are not finite"):
        Controller(run, *BOUNDS)


def test_an_agent_that_is_not_finite_does_not_load(tmp_path: Path) -> None:
    agent = execution().agent
    spoil(agent, float("nan"))
    save_agent(tmp_path / "agent.pt", agent, 1)
    with pytest.raises(ValueError, match=r"parameters world_model\.\S+ of .*agent\.pt are not"):
        load_agent(tmp_path / "agent.pt", execution().agent)


def test_exported_programs_refuse(tmp_path: Path) -> None:
    paths = export.save(execution(), tmp_path)
    policy, planner = (torch.export.load(path).module() for path in paths)
    obs, plan = torch.zeros(1, SIZE), torch.zeros(2, 1, 2)
    assert policy(obs).abs().max() <= 1 and planner(obs, plan)[0].abs().max() <= 1
    for value in (float("nan"), float("inf"), 1e30):
        bad = torch.from_numpy(with_entry(2, value)).float()[None]
        for call in (lambda bad=bad: policy(bad), lambda bad=bad: planner(bad, plan)):
            with pytest.raises(RuntimeError, match="NaN, infinity or a number beyond 1e\\+10"):
                call()
        with pytest.raises(RuntimeError, match="the last plan holds NaN"):
            planner(obs, torch.full_like(plan, value))
