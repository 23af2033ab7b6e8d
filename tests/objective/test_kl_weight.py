"""lambda: numbers, schedules, bounds and the dual variable."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.agents import build, build_execution, policy_step, random_batch
from support.objectives import SPEC, tensor, unscaled
from torch.distributions import Normal, kl_divergence

from mppi_zoo.objective.divergence import (
    AnalyticKL,
)
from mppi_zoo.objective.kl_objective import KLObjective
from mppi_zoo.objective.kl_weight import (
    ActionScaled,
    Cosine,
    Fixed,
    Infinite,
    KLBudget,
    KLWeight,
    Linear,
    as_kl_weight,
)
from mppi_zoo.objective.scale import UnitScale


@given(
    initial=st.floats(1e-3, 1e3),
    lr=st.floats(1e-4, 5.0),
    seen=st.lists(st.floats(0.0, 100.0), min_size=1, max_size=30),
)
def test_dual_variable_follows_its_rule(initial: float, lr: float, seen: list[float]) -> None:
    budget, eta = KLBudget(0.5, initial, lr).double(), math.log(initial)
    for divergence in seen:
        budget.adapt(tensor(divergence))
        eta = min(max(eta + lr * (divergence - 0.5), math.log(1e-4)), math.log(1e4))
        lam = float(budget.lam(0))
        assert lam == pytest.approx(math.exp(eta), rel=1e-5)
        assert 1e-4 * (1 - 1e-9) <= lam <= 1e4 * (1 + 1e-9)
    copy = KLBudget().double()
    copy.load_state_dict(budget.state_dict())
    assert torch.equal(copy.log_lam, budget.log_lam)


def test_the_dual_variable_sees_the_raw_divergence() -> None:
    # before lambda, S_KL and the sample weights: the target is in D's own units
    agent = build("pompc_kl_budget", SPEC, "KLBudget.lr=0.5", "KLBudget.target=0.7")
    batch = random_batch(SPEC, 6)
    agent.objective.kl_scale.get_submodule("running").register_buffer("value", tensor(9.0))
    zs = agent.world_model.encode(batch.obs).detach()
    noise = agent.draw_update_noise(batch, torch.Generator().manual_seed(0))
    with torch.no_grad():
        policy = agent.policy.dist(zs[:-1])
    raw = float(kl_divergence(Normal(*policy), Normal(*batch.plans()[0])).mean())
    policy_step(agent, zs, batch, noise)
    assert float(agent.objective.lam.lam(0).log()) == pytest.approx(0.5 * (raw - 0.7), rel=1e-9)


@given(
    start=st.floats(0, 100),
    end=st.floats(0, 100),
    steps=st.integers(1, 10_000),
    at=st.lists(st.floats(0, 1), min_size=2, max_size=6),
)
def test_schedules(start: float, end: float, steps: int, at: list[float]) -> None:
    linear = Linear(start, end, steps).double()
    cosine = Cosine(start, end, steps).double()
    for schedule in (linear, cosine):
        assert float(schedule.lam(0)) == pytest.approx(start)
        for late in (steps, steps + 1, 10 * steps):
            assert float(schedule.lam(late)) == pytest.approx(end)
        values = [float(schedule.lam(int(share * steps))) for share in sorted(at)]
        ordered = sorted(values, reverse=end < start)
        assert values == pytest.approx(ordered)  # monotone
    for share in at:
        step = int(share * steps)
        line = start + (end - start) * step / steps
        wave = end + (start - end) * math.cos(math.pi / 2 * step / steps) ** 2
        assert float(linear.lam(step)) == pytest.approx(line, abs=1e-9)
        assert float(cosine.lam(step)) == pytest.approx(wave, abs=1e-9)
        return_weight, kl_weight = linear.weights(step)
        assert float(return_weight) == 1.0
        assert torch.equal(kl_weight, linear.lam(step))


@given(value=st.floats(0, 1e6), action_dim=st.integers(1, 61))
def test_numbers_become_weights(value: float, action_dim: int) -> None:
    fixed = as_kl_weight(value)
    assert isinstance(fixed, Fixed)
    fixed.double().bind(action_dim)
    assert [float(w) for w in fixed.weights(7)] == [1.0, value]
    scaled = ActionScaled(value, 0.5 * value).double()
    scaled.bind(action_dim)
    medium = 24 <= action_dim <= 48
    expected = (0.5 if medium else 1.0) * value * action_dim
    assert float(scaled.lam(0)) == pytest.approx(expected)
    assert as_kl_weight(scaled) is scaled


def test_infinity_drops_the_return() -> None:
    for infinite in (as_kl_weight(math.inf), Infinite()):
        assert [float(w) for w in infinite.weights(0)] == [0.0, 1.0]
        assert not infinite.uses_return
        with pytest.raises(TypeError, match="no finite lambda"):
            infinite.lam(0)


@pytest.mark.parametrize(
    ("build_weight", "message"),
    [
        (partial(as_kl_weight, -0.1), "value = -0.1: expected a number of at least 0"),
        (partial(as_kl_weight, math.nan), "value = nan"),
        (partial(as_kl_weight, -math.inf), "value = -inf"),
        (partial(Fixed, math.inf), "value = inf"),
        (partial(ActionScaled, -1.0), "scale = -1.0"),
        (partial(ActionScaled, 1.0, math.nan), "scale = nan"),
        (partial(Linear, -1.0, 1.0, 5), "start = -1.0"),
        (partial(Cosine, 1.0, math.inf, 5), "end = inf"),
        (partial(Linear, 0.0, 1.0, 0), "steps = 0"),
        (partial(KLBudget, 0.0), "KLBudget.target = 0.0: expected a number above 0"),
        (partial(KLBudget, 0.5, -1.0), "KLBudget.initial = -1.0"),
        (partial(KLBudget, 0.5, 1.0, 0.0), "KLBudget.lr = 0.0"),
        (
            partial(unscaled, 1.0, AnalyticKL(), -1e-4),
            "KLObjective.alpha = -0.0001",
        ),
        (partial(KLObjective, 1.0, AnalyticKL(), UnitScale(), rho=0.0), "KLObjective.rho = 0.0"),
        (partial(KLObjective, 1.0, AnalyticKL(), UnitScale(), rho=1.5), "KLObjective.rho = 1.5"),
    ],
)
def test_what_lambda_cannot_be(build_weight: Callable[[], KLWeight], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_weight()


@pytest.mark.parametrize("lam", ["1.0", None, (1.0,), torch.ones(())])
def test_lambda_of_another_type(lam: object) -> None:
    with pytest.raises(ValueError, match="expected a number in .* or a KLWeight"):
        KLObjective(lam, AnalyticKL(), UnitScale())  # pyright: ignore


def test_lambda_is_told_of_pretraining() -> None:
    execution = build_execution(
        "bc_sac_mpc",
        SPEC,
        "KLObjective.lam=@Phases()",
        "Phases.pretraining=10.0",
        "Phases.training=1.0",
    )
    agent, batch = execution.agent, random_batch(SPEC, 6)
    noise = agent.draw_update_noise(batch, torch.Generator().manual_seed(0))
    assert [
        float(execution.update(batch, 7, noise, pretraining=pretraining)["lam"])
        for pretraining in (True, False)
    ] == [10.0, 1.0]
