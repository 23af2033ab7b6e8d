"""Run folders: names, what they record, and what is refused."""

import json
import os
import platform
import re
import subprocess

import pytest

from mppi_zoo.runs import folder as run_folder

RUN = {
    "member": "tdmpc2_equiv",
    "task": "dmc:walker-walk",
    "seed": 3,
    "command_line": ["run.py", "--seed", "3"],
    "operative_gin": "a.b = 1\n",
}


def git(folder, *arguments: str) -> str:
    identity = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME",)}
    identity |= {f"GIT_{who}_EMAIL": "x@example.org" for who in ("AUTHOR", "COMMITTER")}
    environment = {**os.environ, **identity}
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout.strip()


def test_records_what_repeats_the_run(tmp_path):
    folder = run_folder.create(tmp_path / "out" / "run", **RUN)
    assert (folder / "config.gin").read_text() == "a.b = 1\n"
    record = run_folder.read(folder)
    for key in ("member", "task", "seed", "command_line"):
        assert record[key] == RUN[key]
    assert record["versions"]["python"] == platform.python_version()
    assert set(record["versions"]) == {"python", *run_folder.DISTRIBUTIONS}
    assert record["versions"]["torch"] and record["versions"]["gin-config"]
    assert record["cpu_count"] >= 1 and record["device"] == "cpu" and record["device_name"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", record["started"])
    assert sorted(path.name for path in folder.iterdir()) == ["config.gin", "run.json"]


def test_default_names_are_unique(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = [run_folder.create(None, **RUN) for _ in range(3)]
    assert len(set(folders)) == 3
    for folder in folders:
        assert folder.parent.name == "runs"
        name = r"tdmpc2_equiv_dmc-walker-walk_s3_\d{8}-\d{6}(-\d)?"
        assert re.fullmatch(name, folder.name)


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path):
    (tmp_path / "metrics.csv").write_text("precious")
    with pytest.raises(FileExistsError, match="not empty .*metrics.csv.*resume"):
        run_folder.create(tmp_path, **RUN)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]
    with pytest.raises(FileExistsError, match="is a file"):
        run_folder.create(tmp_path / "metrics.csv", **RUN)


def test_an_empty_folder_is_taken(tmp_path):
    assert run_folder.create(tmp_path, **RUN) == tmp_path


def test_read_says_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        run_folder.read(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="not a run folder"):
        run_folder.read(tmp_path)
    run_folder.create(tmp_path / "inner", **RUN)
    with pytest.raises(FileNotFoundError, match="contains the run folders inner"):
        run_folder.read(tmp_path)
    for text in ("{", json.dumps([1])):
        (tmp_path / "inner" / "run.json").write_text(text)
        with pytest.raises(ValueError, match="restore or delete"):
            run_folder.read(tmp_path / "inner")


def test_git_state_is_that_of_the_packages_own_checkout(tmp_path):
    root = tmp_path.resolve()
    assert run_folder._git(root) is None  # no checkout
    git(root, "init", "-q")
    assert run_folder._git(root) is None  # no commit
    (root / "file").write_text("1")
    git(root, "add", "file")
    git(root, "commit", "-q", "-m", "first")
    commit = git(root, "rev-parse", "HEAD")
    assert run_folder._git(root) == {"commit": commit, "dirty": False}
    (root / "file").write_text("2")
    assert run_folder._git(root) == {"commit": commit, "dirty": True}
    (root / "site-packages").mkdir()
    assert run_folder._git(root / "site-packages") is None  # another project's commit
