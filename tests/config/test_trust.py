"""What files would import, found without importing anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from mppi_zoo.config import trust


def refused(folder: Path, text: str) -> str:
    (folder / "config.gin").write_text(text)
    try:
        modules = trust.modules_of_run_config(folder, "config.gin")
        trust.refuse_modules(modules, "config.gin")
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "text",
    [
        "import evil_a",
        "KLObjective.lam = 1.0\nimport evil_a.b",
        "from evil_a import b",
        "import evil_a.b as c",
        "import os\nimport evil_a\n",
        "    import evil_a",
        "Part.x = @Nothing()\nPart.y = %absent\nimport evil_a",
        "import evil_a\nthis is no gin (",
        "Part.x = [1,\n  2]\nimport evil_a # harmless",
    ],
)
def test_imports_of_a_configuration_are_found(tmp_path: Path, text: str) -> None:
    assert "config.gin would import evil_a" in refused(tmp_path, text)


def test_what_imports_nothing_new_passes(tmp_path: Path) -> None:
    text = "a = 'import evil_a'\n# import evil_a\nimport os\nb = [1,\n  'import evil_a']"
    assert refused(tmp_path, text) == ""


def test_calling_anything_and_including_files_are_refused(tmp_path: Path) -> None:
    dynamic = "from __gin__ import dynamic_registration\nimport os\na = @os.abort()"
    assert "would import __gin__" in refused(tmp_path, dynamic)
    assert "includes other.gin" in refused(tmp_path, "include 'other.gin'")


def test_gin_files_are_followed_into_what_they_include(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.gin").write_text("include 'base.gin'\ninclude 'deeper/b.gin'\n")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "b.gin").write_text("include 'own.gin'\nimport evil_b\n")
    assert trust.modules_of_gin(["own.gin", "debug"], ["KLObjective.lam=1"]) == ["evil_b"]
    assert trust.modules_of_gin(["debug"], ["a=1\nimport evil_c"]) == ["evil_c"]
    (tmp_path / "own.gin").write_text("include 'evil_package/config.gin'\n")
    assert trust.modules_of_gin(["own.gin"], []) == ["evil_package"]
    assert trust.modules_of_gin(["tdmpc2_equiv", "scale/laptop"], []) == []


def test_modules_are_refused_unless_given_or_imported() -> None:
    trust.refuse_modules(["os", "evil_a"], "x", given=["evil_a"])
    with pytest.raises(trust.ForeignCode, match=r"x would import evil_a, .*--import evil_a"):
        trust.refuse_modules(["os", "evil_a"], "x")


@pytest.mark.parametrize(
    ("task", "module"),
    [
        ("dmc:walker-walk", ""),
        ("gym:Pendulum-v1", ""),
        ("gym:evil_a:Env-v0", "evil_a"),
        ("evil_a.envs:Env", "evil_a.envs"),
        ("os:abort", "os"),
    ],
)
def test_the_module_of_a_task(task: str, module: str) -> None:
    assert trust.task_module(task) == module
    if module:
        trust.refuse_task(task, "x", given=[module])
        with pytest.raises(trust.ForeignCode, match=f"x would import {module},"):
            trust.refuse_task(task, "x")
    else:
        trust.refuse_task(task, "x")


@pytest.mark.parametrize("listed", ["os", [1], {"a": 1}])
def test_a_list_of_imports_that_is_none_is_refused(listed: object) -> None:
    with pytest.raises(ValueError, match="expected a list of names of modules"):
        trust.modules_of_record({"imports": listed})
    assert trust.modules_of_record({}) == [] == trust.modules_of_record({"imports": None})
