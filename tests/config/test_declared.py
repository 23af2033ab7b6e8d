"""Every declared range of every registered part holds: where it is built, where gin binds it."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest
from gin import config as gin_config
from hypothesis import given
from hypothesis import strategies as st

from mppi_zoo.config.gin_config import parse
from mppi_zoo.config.suggestions import registered_parts
from mppi_zoo.core.checks import fits
from mppi_zoo.core.kinds import UNIONS, Made, constructor, declared
from mppi_zoo.core.ranges import Bounds

VALUES = (
    st.integers(-3, 3)
    | st.integers()
    | st.floats(-2.0, 2.0)
    | st.floats()
    | st.sampled_from([None, True, False, "a", (), (-1.0, 1.0), (1.0, -1.0), 10**400, {"a": "b"}])
)


def part(name: str) -> Any:
    return gin_config._REGISTRY.get_match(name).wrapped  # pyright: ignore


def own_parts() -> list[str]:
    """Those of the package; a test module's have other names for the same modules."""
    return [name for name in registered_parts() if part(name).__module__.startswith("mppi_zoo.")]


def settings() -> Iterator[tuple[str, str, Any]]:
    """(part, parameter, annotation) of all that gin may bind to a number, a switch or a pair."""
    for name in own_parts():
        if constructor(part(name)) is object.__init__:
            continue
        hints = declared(constructor(part(name)))
        for parameter in inspect.signature(part(name)).parameters.values():
            hint = hints[parameter.name]
            if not inspect.isclass(hint) or hint in (int, float, bool, str):
                yield name, parameter.name, hint


def has_range(hint: Any) -> bool:
    if typing.get_origin(hint) in UNIONS:
        return any(map(has_range, typing.get_args(hint)))
    return typing.get_origin(hint) is Annotated or hint in (bool, str, type(None))


def test_every_annotation_of_the_package_can_be_resolved() -> None:
    for name in own_parts():
        function = constructor(part(name))
        if function is object.__init__:
            continue
        hints = declared(function)
        undeclared = inspect.signature(part(name)).parameters.keys() - hints.keys()
        assert not undeclared, f"{name}: {undeclared} without an annotation"
        assert Any not in hints.values(), name


def test_every_number_that_can_be_set_has_a_range() -> None:
    """A part's constructor says of its numbers more than that they are numbers."""
    bare = [
        f"{name}.{parameter}"
        for name, parameter, hint in settings()
        if inspect.isclass(part(name)) and hint in (int, float)
    ]
    assert bare == []


SETTINGS = [(name, parameter, hint) for name, parameter, hint in settings() if has_range(hint)]


def test_there_are_settings_to_try() -> None:
    assert len(SETTINGS) > 50
    assert ("MPPIPlanner", "temperature") in [setting[:2] for setting in SETTINGS]


@given(setting=st.sampled_from(SETTINGS), value=VALUES)
def test_a_part_refuses_what_its_annotation_excludes(
    setting: tuple[str, str, Any], value: Any
) -> None:
    name, parameter, hint = setting
    if inspect.isclass(part(name)):
        signature = inspect.signature(part(name)).parameters.values()
        required = {p.name: Made(None) for p in signature if p.default is p.empty}
        refused = refusal(lambda: part(name)(**{**required, parameter: value}))
        named = f"{name}.{parameter} = " in refused
        assert named == (not fits(value, hint)), refused


@given(setting=st.sampled_from(SETTINGS), value=VALUES)
def test_a_configuration_refuses_what_an_annotation_excludes(
    setting: tuple[str, str, Any], value: Any
) -> None:
    name, parameter, hint = setting
    text = repr(value).replace("inf", "1e400")
    if "nan" in text:  # which gin cannot express
        return
    refused = refusal(lambda: parse(["tdmpc2_equiv"], [f"{name}.{parameter} = {text}"]))
    assert (f"{name}.{parameter} = " in refused) == (not fits(value, hint)), refused


def refusal(build: Callable[[], Any]) -> str:
    """The message of an error; empty if there is none."""
    try:
        build()
    except Exception as error:  # others have come so far that the check let them pass
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("binding", "message"),
    [
        ("horizon=1.5", "MPPIPlanner.horizon = 1.5, which is %horizon: expected an integer"),
        ("samples=24.0", "MPPIPlanner.samples = 24.0, which is %samples: expected an integer"),
        ("samples=None", "MPPIPlanner.samples = None, which is %samples"),
        ("KLObjective.lam='a'", "KLObjective.lam = 'a': expected a number in .* @Infinite()"),
        ("KLObjective.lam=None", "KLObjective.lam = None: expected a number in"),
        ("POMPCAgent.prior=@Infinite", "POMPCAgent.prior = @Infinite: .* @PlannerPrior"),
        ("Experiment.task=3", "Experiment.task = 3: expected text"),
        ("batch_size=True", "TrainingOptions.batch_size = True, which is %batch_size: expected an"),
        ("MPPIPlanner.temperature=None", "MPPIPlanner.temperature = None: expected a number of at"),
        ("MPPIPlanner.temperature=-1", "MPPIPlanner.temperature = -1: expected a number of at"),
        ("MPPIPlanner.max_std=1e400", "MPPIPlanner.max_std = inf: expected a number above 0"),
        ("TrainingOptions.updates_per_step=1e400", "updates_per_step = inf: expected a number of"),
        ("TrainingOptions.checkpoints_kept=2.5", "checkpoints_kept = 2.5: expected an integer"),
        ("latent_dim=0", "WorldModel.latent_dim = 0, which is %latent_dim: expected an integer"),
        ("enc_dim=0", "WorldModel.enc_dim = 0"),
        ("mlp_dim=0", "WorldModel.mlp_dim = 0"),
        ("num_enc_layers=-1", "WorldModel.num_enc_layers = -1"),
        ("num_enc_layers=1.5", "WorldModel.num_enc_layers = 1.5"),
        ("eval_every=0.5", "TrainingOptions.eval_every = 0.5"),
        ("seed_steps=60.5", "TrainingOptions.seed_steps = 60.5"),
        ("planner_std.floor=0", "planner_std.floor = 0: expected a number above 0"),
        ("KLObjective.divergence=@AnalyticKL", r"= @AnalyticKL: .* such as @AnalyticKL\(\)"),
        ("KLObjective.entropy=@reverse_kl", "KLObjective.entropy = @reverse_kl: .*scaled_entropy"),
        ("AnalyticKL.reduce=@textbook_log_prob", "AnalyticKL.reduce = @textbook_log_prob"),
        ("POMPCAgent.planner=@MPPIPlanner", r"expected a Planner, such as .*@MPPIPlanner\(\)"),
        ("ModelLoss.terms=[@UnitWeights()]", "a list of which each is a LossTerm"),
        ("ModelLoss.weights={'a': 'b'}", "ModelLoss.weights = {'a': 'b'}: expected a mapping"),
        ("KLObjective.lam=@Linear()", r"@Linear\(\) lacks Linear.start, Linear.end, Linear.steps"),
        ("KLObjective.lam=%nothing", "no macro nothing is set"),
        ("horizon=%horizon", "the macro horizon refers to itself"),
    ],
)
def test_what_is_refused_before_anything_is_built(binding: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(["tdmpc2_equiv"], [binding])


def test_a_value_at_the_end_of_its_range_is_accepted() -> None:
    bindings = ["MPPIPlanner.temperature=0", "KLObjective.lam=1e400", "eval_every=0"]
    experiment = parse(["tdmpc2_equiv"], [*bindings, "SquashedGaussian.log_std_bounds=[-1, -1]"])
    assert experiment.training.eval_every == 0
    assert fits([-1, -1], Bounds)
