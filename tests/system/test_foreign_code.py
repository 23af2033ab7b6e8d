"""A run's or a study's folder from somebody else runs no code of its own, unless it is trusted."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.run_folders import contents
from support.short_runs import SMALL, ToyRuns, command, without_waiting

import mppi_zoo
from mppi_zoo.cli import main as run
from mppi_zoo.config.trust import ForeignCode
from mppi_zoo.deploy import export
from mppi_zoo.runs.outcome import DONE, REFUSED
from mppi_zoo.study import commands as study

MEMBER = "pompc_adaptive_fkl"
MODULE = """
from pathlib import Path
Path(__file__).with_name("executed").touch()
from mppi_zoo.envs.toy import Point as Env
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The usual working directory, with a module that came with the folder."""
    without_waiting(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "foreign_parts.py").write_text(MODULE)
    yield tmp_path
    sys.modules.pop("foreign_parts", None)


@pytest.fixture
def folder(here: Path, toy_run: ToyRuns) -> Path:
    """A run folder of somebody else's."""
    return Path(shutil.copytree(toy_run(MEMBER), here / "run"))


def list_in_run_json(folder: Path) -> None:
    record = json.loads((folder / "run.json").read_text())
    record["imports"] = record["options"]["imports"] = ["foreign_parts"]
    (folder / "run.json").write_text(json.dumps(record))


def import_in_gin(folder: Path) -> None:
    config = folder / "config.gin"
    config.write_text("import foreign_parts\n" + config.read_text())


def name_as_task(folder: Path) -> None:
    config = folder / "config.gin"
    text = config.read_text()
    assert "'toy:point-terminating'" in text
    config.write_text(text.replace("'toy:point-terminating'", "'foreign_parts:Env'"))


@pytest.mark.parametrize("name", [list_in_run_json, import_in_gin, name_as_task])
def test_resume_runs_no_code_of_the_folder(
    folder: Path, here: Path, name: Callable[[Path], None], capsys
) -> None:
    name(folder)
    before = contents(folder)
    for arguments in (
        ["--resume", str(folder), "--quiet"],
        ["--out", str(folder), "--continue", "--quiet"],
    ):
        assert run.main(arguments) == REFUSED
        said = capsys.readouterr().err
        assert "would import foreign_parts" in said and "--trust" in said
        assert "--import foreign_parts" in said
    assert not (here / "executed").exists() and contents(folder) == before
    assert run.main(["--resume", str(folder), "--quiet", "--show", "--trust"]) == DONE
    assert (here / "executed").exists()


@pytest.mark.parametrize("name", [list_in_run_json, import_in_gin])
def test_load_and_export_run_no_code_of_the_folder(
    folder: Path, here: Path, name: Callable[[Path], None], capsys
) -> None:
    name(folder)
    with pytest.raises(ForeignCode, match=r"would import foreign_parts, .*imports=True"):
        mppi_zoo.load(folder)
    assert export.main([str(folder)]) == REFUSED
    assert "would import foreign_parts" in capsys.readouterr().err
    assert not (here / "executed").exists() and not (folder / "exported").exists()
    mppi_zoo.load(folder, imports=True)
    assert (here / "executed").exists()
    mppi_zoo.load(folder)  # what the caller has imported may be used


def test_the_command_that_made_a_run_goes_on_without_a_flag(here: Path) -> None:
    more = ["--import", "foreign_parts", "--continue"]
    arguments = [*command(here / "own", MEMBER, "foreign_parts:Env", *SMALL), *more]
    assert run.main(arguments) == DONE
    sys.modules.pop("foreign_parts")
    assert run.main(arguments) == DONE
    sys.modules.pop("foreign_parts")
    resume = ["--resume", str(here / "own"), "--quiet"]
    assert run.main(resume) == REFUSED
    assert run.main([*resume, "--import", "foreign_parts"]) == DONE


STUDY = {"members": [MEMBER], "gin": ["debug"], "tasks": ["toy:point"], "steps": 64}
FOREIGN = {
    "arguments": {"arguments": ["--import=foreign_parts"]},
    "params": {"params": ["import foreign_parts"]},
    "within a param": {"params": ["seed_steps=32\nimport foreign_parts"]},
    "grid": {"grid": {"seed_steps": ["32\nimport foreign_parts"]}},
    "gin": {"gin": ["debug", "study/own.gin"]},
}


@pytest.fixture
def study_folder(here: Path) -> Path:
    out = here / "study"
    out.mkdir()
    (out / "own.gin").write_text("import foreign_parts\n")
    return out


@pytest.mark.parametrize("named", FOREIGN)
def test_a_study_folder_runs_no_code_of_its_own(
    study_folder: Path, here: Path, named: str, capsys
) -> None:
    (study_folder / "study.yaml").write_text(json.dumps({**STUDY, **FOREIGN[named]}))
    before = contents(study_folder)
    for arguments in (["status", str(study_folder)], [str(study_folder)]):
        assert study.main(arguments) == REFUSED
        assert "study.yaml would import foreign_parts" in capsys.readouterr().err
    assert study.main(["report", str(study_folder)]) == REFUSED
    assert "no run of" in capsys.readouterr().err
    assert not (here / "executed").exists() and contents(study_folder) == before


def test_a_study_folder_with_an_abbreviated_option_is_refused(
    study_folder: Path, here: Path, capsys
) -> None:
    abbreviated = {"arguments": ["--imp", "foreign_parts"]}
    (study_folder / "study.yaml").write_text(json.dumps({**STUDY, **abbreviated}))
    before = contents(study_folder)
    for arguments in (["status", str(study_folder)], [str(study_folder)]):
        assert study.main(arguments) == REFUSED
        assert "study.yaml would import foreign_parts" in capsys.readouterr().err
    assert study.main(["report", str(study_folder)]) == REFUSED
    assert "unrecognized arguments: --imp" in capsys.readouterr().err
    assert not (here / "executed").exists() and contents(study_folder) == before


def test_a_study_folder_starts_no_environment_of_its_own(study_folder: Path, here, capsys) -> None:
    content = {**STUDY, "tasks": ["foreign_parts:Env"]}
    (study_folder / "study.yaml").write_text(json.dumps(content))
    assert study.main([str(study_folder), "--dry-run"]) == REFUSED
    assert "study.yaml would import foreign_parts" in capsys.readouterr().err
    assert study.main(["status", str(study_folder)]) == DONE  # which makes no environment
    assert study.main([str(study_folder), "--dry-run", "--trust"]) == DONE
    content["arguments"] = ["--trust"]
    (study_folder / "study.yaml").write_text(json.dumps(content))
    assert study.main([str(study_folder)]) == REFUSED
    assert not (here / "executed").exists()


def test_a_trusted_study_and_one_s_own_file_may_import(study_folder: Path, here: Path) -> None:
    content = json.dumps({**STUDY, **FOREIGN["arguments"]})
    (here / "mine.yaml").write_text(content)
    assert study.main([str(here / "mine.yaml"), "--dry-run"]) == DONE
    assert (here / "executed").exists()
    sys.modules.pop("foreign_parts")
    (study_folder / "study.yaml").write_text(content)
    assert study.main(["status", str(study_folder)]) == REFUSED
    assert study.main(["status", str(study_folder), "--trust"]) == DONE
