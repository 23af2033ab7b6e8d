"""Studies in files."""

from __future__ import annotations

import pytest

from mppi_zoo.config import gin_config as config
from mppi_zoo.study import Study, find_study, read_study
from mppi_zoo.study.file import gin_text, study_text


def test_a_study_survives_its_file(tmp_path) -> None:
    whole = Study(
        members=("pompc_replay",),
        tasks=("toy:point",),
        gin=("debug",),
        seeds=(2, 4),
        grid={"KLObjective.lam": ("0.0", "@Infinite()"), "task_name": ("'x: y'",)},
        params=("eval_every=0",),
        steps=10,
        arguments=("--compile",),
        threads=2,
        title="A title: with a colon",
    )
    (tmp_path / "study.yaml").write_text(study_text(whole))
    assert read_study(find_study(str(tmp_path))) == whole


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("members: [a", "not readable YAML"),
        ("- a", "holds a list"),
        ("members: a\ntasks: b\nsede: 3", "unknown sede; a study has members"),
        ("members: a", "tasks missing"),
        ("members: a\ntasks: b\nseeds: many", "expected a number of seeds"),
        ("members: a\ntasks: b\nseeds: 0", "expected at least 1"),
        ("members: a\ntasks: b\ngrid: [1]", "expected parameters and lists"),
        ("members: a\ntasks: b\nsteps: many", "steps = 'many'"),
        ("members: a\ntasks: b\n3: x", "unknown 3; a study has"),
        ("members: a\ntasks: b\n~: x", "unknown None; a study has"),
        ("members: a\ntasks: b\n'': x", "unknown ''; a study has"),
        ("members: a\ntasks: b\nmembers: c", "'members' more than once"),
        ("members: a\ntasks: b\ngrid: {x: [1], x: [2]}", "'x' more than once"),
        ("members: a\ntasks: b\ngrid: {3: [1]}", "grid = {3: .* a mapping of text to"),
        ("members: a\ntasks: b\nseeds: [1.9, 2.5]", r"seeds = \(1.9, 2.5\): .* an integer"),
        ("members: a\ntasks: b\nseeds: [-1]", r"seeds = \(-1,\): .* an integer in \[0"),
        ("members: a\ntasks: b\nseeds: 100000000", "at most 100,000"),
        ("members: a\ntasks: [b, c]\nseeds: 100000", "has 200,000 runs, expected at most"),
        ("members: a\ntasks: b\nthreads: 1000000000", "threads = 1000000000: expected an int"),
        ("members: a\ntasks: b\nsteps: 1.5", "steps = 1.5: expected an integer"),
        ("members: 3\ntasks: b", r"members = \(3,\): .* text"),
        ("members: a\ntasks: b\ntitle: " + "[" * 3000 + "]" * 3000, "not readable YAML"),
    ],
)
def test_a_bad_file_is_named_with_the_reason(tmp_path, text, message) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"bad.yaml.*{message}"):
        read_study(path)


def test_an_unknown_study_lists_the_shipped_ones() -> None:
    with pytest.raises(FileNotFoundError, match="lambda_laptop"):
        find_study("lambda_labtop")


@pytest.mark.parametrize("value", [0, 0.1, 1e-7, True, None])
def test_yaml_values_mean_the_same_in_gin(value) -> None:
    assert config.set_macro("x", value) == f"x = {gin_text(value)}"
