"""A run's folder becomes a controller; it acts in time, or by its fallback."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support.agents import build_execution
from support.short_runs import SMALL, train

import mppi_zoo
from mppi_zoo import envs
from mppi_zoo.core.types import EnvSpec
from mppi_zoo.deploy.actions import ActionSpace
from mppi_zoo.deploy.controller import Controller
from mppi_zoo.deploy.fallback import HoldLast, ZeroAction
from mppi_zoo.deploy.observations import UnusableObservation

TASK = "support.custom_envs:DictObs"


def small(**keywords) -> Controller:
    execution = build_execution(
        "tdmpc2_equiv", EnvSpec(5, 2, 100), "iterations=3", "horizon=2", dtype=torch.float32
    )
    return Controller(execution, ActionSpace([-3.0, 0.5], [3.0, 2.0]), **keywords)


def test_a_run_loads_and_acts(tmp_path: Path) -> None:
    folder = train(tmp_path / "run", "bmpc_equiv", "gym:Pendulum-v1", *SMALL)
    controller = mppi_zoo.load(folder)
    env = envs.make("gym:Pendulum-v1")
    obs, _ = env.reset(seed=0)
    for planner in (True, False):
        action = controller.act(obs, planner=planner)
        assert action.shape == (1,) and np.abs(action).max() <= 1
    torque = controller.act(obs, native=True, planner=False)
    np.testing.assert_allclose(torque, 2 * controller.act(obs, planner=False), rtol=1e-6)
    controller.reset()
    with pytest.raises(ValueError, match="4 numbers, the agent was trained on 3"):
        controller.act(np.zeros(4))
    with pytest.raises(ValueError, match="fallback 'stop': expected one of raise, hold, zero"):
        mppi_zoo.load(folder, fallback="stop")


def test_an_agent_of_named_observations_takes_them_by_name(tmp_path: Path) -> None:
    limit = ["--param", "EnvOptions.max_episode_steps=10"]
    folder = train(tmp_path / "run", "bmpc_equiv", TASK, *SMALL, *limit)
    entries = json.loads((folder / "run.json").read_text())["spec"]["obs"]["entries"]
    assert [(e["key"], e["shape"], e["dtype"]) for e in entries] == [
        ("a", [2, 2], "float64"),
        ("b/0", [3], "float64"),
        ("b/1", [4], "int64"),
    ]
    controller = mppi_zoo.load(folder)
    inner = envs.make(TASK)
    flat, _ = inner.reset(seed=3)
    named = inner.unwrapped.obs  # pyright: ignore[reportAttributeAccessIssue]
    expected = controller.act(flat, planner=False)
    np.testing.assert_array_equal(controller.act(named, planner=False), expected)
    with pytest.raises(UnusableObservation, match="has no entry 'b/1'") as caught:
        controller.act({"a": named["a"], "b": {"0": named["b"][0]}})
    assert caught.value.entry == "b/1"
    named["a"][1, 0] = np.nan
    with pytest.raises(UnusableObservation, match=r"observation\['a'\]\[1\]\[0\] = nan"):
        controller.act(named)


def test_the_fallback_acts_where_no_action_can_be_chosen() -> None:
    bad, good = np.full(5, np.nan), np.ones(5)
    hold, zero = small(fallback=HoldLast()), small(fallback=ZeroAction())
    nothing = [0.0, 0.5]  # the second actuator's bounds exclude 0
    for controller in (hold, zero):
        np.testing.assert_allclose(controller.act(bad, native=True), nothing, atol=1e-6)
    before = hold.act(good, native=True)
    np.testing.assert_array_equal(hold.act(bad, native=True), before)
    assert hold.last is not None and "observation[0] = nan" in str(hold.last.refused)
    assert hold.refusals == 2
    hold.reset()
    np.testing.assert_allclose(hold.act(bad, native=True), nothing, atol=1e-6)
    hold.act(good)
    assert hold.last is not None and hold.last.refused is None


def test_a_fallback_must_give_an_action() -> None:
    class Wrong(ZeroAction):
        def __call__(self, error, last, zero):
            return 2 + zero

    with pytest.raises(ValueError, match="the fallback Wrong gave .* numbers in \\[-1, 1\\]"):
        small(fallback=Wrong()).act(np.full(5, np.nan))


def test_with_time_enough_the_plan_is_the_usual_one() -> None:
    usual, timed = small(), small()
    timed.warm_up()
    for obs in np.random.default_rng(0).normal(size=(3, 5)):
        np.testing.assert_array_equal(timed.act(obs, deadline=1e3), usual.act(obs))
        assert timed.last is not None and timed.last.iterations == 3


def test_as_many_iterations_as_fit() -> None:
    """By a clock that ticks when it is read.

    The second tick begins the plan; a stage takes a tick, and so does the end.
    """
    ticks = itertools.count()
    controller = small(clock=lambda: float(next(ticks)))
    controller.warm_up()
    bare = small().act(np.ones(5), planner=False)
    for deadline, iterations in ((0.5, 0), (3.5, 0), (4.5, 1), (5.5, 2), (6.5, 3), (99, 3)):
        action = controller.act(np.ones(5), deadline=deadline)
        assert controller.last is not None
        assert controller.last.iterations == iterations, deadline
        assert np.array_equal(action, bare) == (iterations == 0)
    with pytest.raises(ValueError, match="deadline = -1: expected seconds"):
        controller.act(np.ones(5), deadline=-1)
