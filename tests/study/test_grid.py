"""What runs a study expands to, and what it refuses before anything is written."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mppi_zoo.config.paths import shipped_folder
from mppi_zoo.study import Study, expand, read_study
from mppi_zoo.study.gin_list import split_values
from mppi_zoo.study.grid import cells, short_names

TASK = "toy:point"


def study(**changes) -> Study:
    settings = {"members": ("pompc_replay",), "tasks": (TASK,), "gin": ("debug",)}
    return Study(**{**settings, **changes})


def test_a_run_for_each_member_task_value_and_seed() -> None:
    lams = ("0.0", "0.1", "@Infinite()")
    runs = expand(
        study(
            members=("pompc_replay", "bmpc_equiv"),
            tasks=(TASK, "dmc:walker-walk"),
            seeds=(3, 5),
            grid={"KLObjective.lam": lams, "horizon": ("2", "3")},
        )
    )
    assert len(runs) == len({run.name for run in runs}) == 2 * 2 * 2 * 3 * 2
    assert runs[0].name == "pompc_replay_lam=0.0_horizon=2_toy-point_s3"
    assert "KLObjective.lam=@Infinite()" in runs[-1].arguments
    assert [run.name.endswith("_s3") for run in runs] == [True] * 24 + [False] * 24
    assert {run.steps for run in runs} == {120}  # what debug.gin says


def test_steps_and_arguments_reach_every_run() -> None:
    (run,) = expand(study(steps=77, params=("eval_every=0",), arguments=("--no-video",)))
    assert run.steps == 77
    assert run.arguments == (
        *("--gin", "pompc_replay", "--gin", "debug", "--param", "eval_every=0"),
        *("--task", TASK, "--seed", "1", "--steps", "77", "--no-video"),
    )


def test_parameters_with_one_last_name_are_told_apart() -> None:
    grid = {"WorldModel.mlp_dim": ("32",), "MPPIPlanner.samples": ("16",)}
    (run,) = expand(study(grid=grid))
    assert "_mlp_dim=32_samples=16_" in run.name
    names = short_names({"A.std_min": (), "B.std_min": (), "A.lr": ()})
    assert names == {"A.std_min": "A.std_min", "B.std_min": "B.std_min", "A.lr": "lr"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arguments": ("--see=5",)}, "arguments: unrecognized arguments: --see=5"),
        ({"arguments": ("--no-such-option",)}, "unrecognized arguments: --no-such-option"),
        ({"arguments": ("--num-envs", "0")}, r"argument --num-envs: '0': expected an integer in"),
        ({"grid": {"KLObjective.lam": ("False",)}}, "KLObjective.lam = False: expected a number"),
        ({"grid": {"": ("1",)}}, "there is no macro ''"),
        ({"params": ("MPPIPlanner.temperature=-1",)}, "MPPIPlanner.temperature = -1: expected"),
    ],
)
def test_runs_that_would_be_refused_are_refused_before_they_are_listed(
    changes: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        expand(study(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arguments": ("--help",)}, "--help"),
        ({"members": ()}, "without members"),
        ({"tasks": (TASK, TASK)}, "tasks: toy:point more than once"),
        ({"seeds": (1, 2, 1)}, "seeds: 1 more than once"),
        ({"grid": {"horizon": ()}}, "horizon no values"),
        ({"grid": {"horizon": ("3", "3")}}, "horizon: 3 more than once"),
        ({"arguments": ("--seed=3",)}, "name them under seeds"),
        ({"threads": 0}, "threads = 0"),
    ],
)
def test_what_a_study_refuses(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        study(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"members": ("pompc_replya",)}, "no gin file 'pompc_replya'"),
        ({"grid": {"horizn": ("3",)}}, "no macro horizn. Did you mean horizon"),
        ({"params": ("KLObjectiv.lam=1",)}, "KLObjective"),
        ({"params": ("KLObjective.lambada=1",)}, "lambada"),
        ({"grid": {"KLObjective.lam": ("@Infinit()",)}}, "Infinite"),
        ({"tasks": ("dmc:walker-wal",)}, "unknown dmc task 'walker-wal'; nearest .*walker-walk"),
        ({"tasks": ("toy:pont",)}, "unknown toy task 'pont'"),
    ],
)
def test_what_does_not_exist_is_named_before_anything_runs(changes, message) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        expand(study(**changes))


def test_values_are_split_at_their_own_commas_only() -> None:
    text = "[0, 1e-3, @Infinite(), @Linear(1, 2), (1, 2), 'a,b', \"c]\"]"
    expected = ("0", "1e-3", "@Infinite()", "@Linear(1, 2)", "(1, 2)", "'a,b'", '"c]"')
    assert split_values(text) == expected


@given(st.lists(st.text(string.ascii_letters + string.digits + "@._", min_size=1), min_size=1))
def test_splitting_undoes_joining(values) -> None:
    assert split_values(f"[{', '.join(values)}]") == tuple(values)


@pytest.mark.parametrize("text", ["0, 1", "[0, (1]", "[0,,1]", "['a]"])
def test_values_that_cannot_be_split_are_refused(text) -> None:
    with pytest.raises(ValueError):
        split_values(text)


SHIPPED = sorted(shipped_folder("studies").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_studies_expand(path) -> None:
    study = read_study(path)
    assert all(run.steps > 0 for run in expand(study))
    found = cells(study)
    assert found and all(cell.steps > 0 for cell in found)
