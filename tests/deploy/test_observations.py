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
from mppi_zoo.core.types import EnvSpec, ObsEntry, ObsSpec
from mppi_zoo.deploy.actions import ActionSpace
from mppi_zoo.deploy.controller import Controller
from mppi_zoo.deploy.observations import UnusableObservation, flatten, refuse_unusable

SIZE = 5
SMALL = ("iterations=1", "horizon=2")
ACTIONS = ActionSpace([-3.0, 0.1], [3.0, 0.7])


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
    return Controller(execution(), ACTIONS)


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
        low, high = np.array([[-3.0, 0.1], [3.0, 0.7]], np.float32)
        assert good and action.dtype == np.float32 and ((low <= action) & (action <= high)).all()


@pytest.mark.parametrize(
    ("obs", "message"),
    [
        (np.zeros(4), "4 numbers, the agent was trained on 5"),
        ({"arm": np.zeros(5)}, "has no entry 'obs'; expected obs \\[5\\]"),
        ({"obs": np.zeros(4)}, "observation\\['obs'\\] has 4 numbers; expected 5"),
        (["a"] * 5, "is a list that is not made of numbers"),
        (np.zeros(5, complex), "is a ndarray that is not made of numbers"),
        (None, "is a NoneType that is not made of numbers"),
    ],
)
def test_what_is_no_observation(controller: Controller, obs: object, message: str) -> None:
    with pytest.raises(UnusableObservation, match=message) as caught:
        controller.act(obs)  # pyright: ignore[reportArgumentType]
    assert caught.value.index is None


def test_entries_by_name_are_in_the_order_of_training() -> None:
    arm = ObsEntry("arm/q", (2,))
    mode = ObsEntry("mode", (3,), "int64", choices=(3,), first=(-1,))
    spec = ObsSpec((5,), "float32", (arm, mode))
    expected = [7.0, 8.0, 0.0, 0.0, 1.0]
    for obs in (
        {"mode": 1, "arm": {"q": [7, 8], "more": "text"}, "time": 3.5},
        {"arm": {"q": (7, 8)}, "mode": [0, 0, 1]},
        expected,
    ):
        assert flatten(obs, spec).tolist() == expected
    with pytest.raises(UnusableObservation, match="= 2: expected a whole number from -1 to 1"):
        flatten({"arm": {"q": [7, 8]}, "mode": 2}, spec)
    with pytest.raises(UnusableObservation, match="no entry 'arm/q'; did you mean it by arm/p"):
        flatten({"arm": {"p": [7, 8]}, "mode": 0}, spec)
    with pytest.raises(UnusableObservation, match=r"observation\['mode'\]\[1\] = inf") as caught:
        refuse_unusable(np.array([0, 0, 0, np.inf, 0]), spec)
    assert (caught.value.index, caught.value.entry) == (3, "mode")


def test_how_many_entries_are_bad() -> None:
    with pytest.raises(UnusableObservation, match=r"observation\[0\] = nan, and 4 others: "):
        refuse_unusable(np.full(SIZE, np.nan))
    assert flatten([[1, 2], [3, 4]], ObsSpec.vector(4)).tolist() == [1.0, 2.0, 3.0, 4.0]


def test_another_check_can_be_given() -> None:
    seen: list[np.ndarray] = []
    own = Controller(execution(), ACTIONS, check=seen.append)
    own.act(with_entry(1, 1e11), planner=False)
    assert seen[0][1] == 1e11


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_agent_that_is_not_finite_does_not_act(value: float) -> None:
    run = execution()
    controller = Controller(run, ACTIONS)
    controller.act(np.zeros(SIZE))
    spoil(run.agent, value)
    for planner in (True, False):
        with pytest.raises(ValueError, match=r"parameters world_model\.\S+ of the agent are not"):
            controller.act(np.zeros(SIZE), planner=planner)
    with pytest.raises(ValueError, match="are not finite"):
        Controller(run, ACTIONS)


def test_an_agent_that_is_not_finite_does_not_load(tmp_path: Path) -> None:
    agent = execution().agent
    spoil(agent, float("nan"))
    save_agent(tmp_path / "agent.pt", agent, 1)
    with pytest.raises(ValueError, match=r"parameters world_model\.\S+ of .*agent\.pt are not"):
        load_agent(tmp_path / "agent.pt", execution().agent)
