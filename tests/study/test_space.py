"""What may be searched, and what a study file may say of it."""

from __future__ import annotations

import pytest

from mppi_zoo.study import Study, expand, read_study
from mppi_zoo.study.file import study_text
from mppi_zoo.study.foreign import refuse_foreign
from mppi_zoo.study.grid import cells
from mppi_zoo.study.space import Choice, Range, Search

LAM = "KLObjective.lam"
FILE = "members: [pompc_replay]\ngin: [debug]\ntasks: ['toy:point']\n"


def test_a_search_survives_its_file(tmp_path) -> None:
    written = tmp_path / "study.yaml"
    written.write_text(
        FILE + "search: {trials: 3, prune: false, metric: success_rate, parameters: "
        "{KLObjective.lam: {low: 1e-3, high: 1, log: true}, horizon: {low: 2, high: 4}, "
        "POMPCAgent.policy_update: ['@MinNorm()', '@WeightedSum()']}}"
    )
    study = read_study(written)
    assert study.search == Search(
        parameters={
            LAM: Range(0.001, 1, log=True),
            "horizon": Range(2, 4),
            "POMPCAgent.policy_update": Choice(("@MinNorm()", "@WeightedSum()")),
        },
        trials=3,
        prune=False,
        metric="success_rate",
    )
    written.write_text(study_text(study))
    assert read_study(written) == study
    assert expand(study) == [] and [cell.steps for cell in cells(study)] == [120]


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ("{trials: 3}", "search: parameters missing"),
        ("{parameters: {horizon: [2, 3]}}", "search: trials missing"),
        ("{trials: 3, parameters: {}}", "search: parameters: none"),
        ("{trails: 3, parameters: {}}", "unknown trails; .* Did you mean trials"),
        ("{trials: 0, parameters: {horizon: [2, 3]}}", "Search.trials = 0: expected an integer"),
        ("{trials: 2, parameters: {horizon: 3}}", "horizon: 3: expected a range with low, high"),
        ("{trials: 2, parameters: {horizon: [3]}}", "horizon: 3: expected two or more values"),
        ("{trials: 2, parameters: {x: {low: 2, hihg: 3}}}", "x: unknown hihg.*mean high"),
        ("{trials: 2, parameters: {x: {low: 3, high: 2}}}", "x: low = 3 and high = 2: expected"),
        ("{trials: 2, parameters: {x: {low: 0, high: 2, log: true}}}", "a number above 0"),
        ("{trials: 2, parameters: {x: {low: .inf, high: 2}}}", "Range.low = inf: expected a fin"),
        ("{trials: 2, parameters: {x: {low: a, high: 2}}}", "Range.low = 'a': expected a finite"),
        ("{trials: 9, parameters: {x: [1, 2], y: {low: 1, high: 4}}}", "have 8 settings; lower"),
        ("{trials: 2, metric: loss, parameters: {x: [1, 2]}}", "metric = 'loss': expected 'epi"),
        ("{trials: 2, parameters: {horizon: [2, 3]}}\ngrid: {horizon: [2]}", "horizon more than"),
    ],
)
def test_a_bad_search_is_named_with_the_reason(tmp_path, search, message) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(f"{FILE}search: {search}")
    with pytest.raises(ValueError, match=f"bad.yaml: .*{message}"):
        read_study(path)


@pytest.mark.parametrize(
    ("parameters", "params", "message"),
    [
        ({"KLObjective.lma": Range(0.1, 1)}, (), r"Did you mean KLObjective\.lam\?"),
        ({"horizn": Range(2, 3)}, (), "no macro horizn. Did you mean horizon"),
        ({"horizon": Range(2, 3), LAM: Range(-1, 1)}, (), r"KLObjective.lam = -1"),
        ({"horizon": Range(2, 3), LAM: Choice(("1", "@Infinit()"))}, (), "Infinite"),
        ({"horizon": Range(2, 3)}, ("eval_every=0",), "switches off evaluations"),
    ],
)
def test_both_ends_of_a_range_are_checked_before_anything_runs(parameters, params, message) -> None:
    search = Search(parameters=parameters, trials=2)
    study = Study(("pompc_replay",), ("toy:point",), gin=("debug",), params=params, search=search)
    with pytest.raises(ValueError, match=message):
        cells(study)


def test_a_folders_search_imports_no_module_of_its_own(tmp_path) -> None:
    search = Search({LAM: Choice(("1", "@mine.Lam()"))}, trials=2)
    study = Study(("pompc_replay",), ("toy:point",), arguments=("--import=mine",), search=search)
    with pytest.raises(ValueError, match="mine"):
        refuse_foreign(study, tmp_path / "study.yaml", runs=True)
