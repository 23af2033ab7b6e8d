"""Finding gin files by name, in the working directory and among the shipped ones."""

from pathlib import Path

import pytest

from mppi_zoo.config import paths as gin_path


@pytest.fixture
def shipped(tmp_path, monkeypatch) -> Path:
    """A source checkout's gin folder; the working directory is elsewhere."""
    root = tmp_path / "checkout"
    (root / "gin" / "scale").mkdir(parents=True)
    (root / "mppi_zoo").mkdir()
    (root / "setup.py").touch()
    for name in ("tdmpc2_equiv.gin", "scale/laptop.gin", "lr0.1.gin"):
        (root / "gin" / name).touch()
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr(gin_path, "PACKAGE", root / "mppi_zoo")
    return root / "gin"


def test_this_checkout_or_wheel_has_a_gin_folder():
    assert gin_path.gin_folder().is_dir()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gin/tdmpc2_equiv.gin", "tdmpc2_equiv.gin"),
        ("gin/tdmpc2_equiv", "tdmpc2_equiv.gin"),
        ("tdmpc2_equiv", "tdmpc2_equiv.gin"),
        ("tdmpc2_equiv.gin", "tdmpc2_equiv.gin"),
        ("scale/laptop", "scale/laptop.gin"),
        ("gin/scale/laptop.gin", "scale/laptop.gin"),
        ("lr0.1", "lr0.1.gin"),
    ],
)
def test_names_of_shipped_files(shipped, name, found):
    assert gin_path.find_gin(name) == shipped / found


def test_a_file_in_the_working_directory_wins(shipped):
    own = Path.cwd() / "tdmpc2_equiv.gin"
    own.touch()
    assert gin_path.find_gin("tdmpc2_equiv") == own
    assert gin_path.find_gin("gin/tdmpc2_equiv") == shipped / "tdmpc2_equiv.gin"
    mine = Path.cwd() / "gin" / "tdmpc2_equiv.gin"
    mine.parent.mkdir()
    mine.touch()
    assert gin_path.find_gin("gin/tdmpc2_equiv") == mine


def test_paths(shipped, tmp_path):
    own = tmp_path / "own.gin"
    own.touch()
    assert gin_path.find_gin(str(own)) == own
    assert gin_path.find_gin(str(own.with_suffix(""))) == own
    assert gin_path.find_gin("../own.gin").samefile(own)


def test_a_folder_is_not_a_file(shipped):
    (Path.cwd() / "tdmpc2_equiv").mkdir()
    assert gin_path.find_gin("tdmpc2_equiv") == shipped / "tdmpc2_equiv.gin"


@pytest.mark.parametrize("name", ["tdmpc3", "gin/tdmpc3.gin", "/absent/tdmpc3.gin", "", ".", "gin"])
def test_a_missing_file_is_explained(shipped, name):
    with pytest.raises(FileNotFoundError) as error:
        gin_path.find_gin(name)
    text = str(error.value)
    assert repr(name) in text and "lr0.1, scale/laptop, tdmpc2_equiv" in text
    assert ("/absent" if name.startswith("/") else str(Path.cwd())) in text


def test_a_wheel_carries_its_own_copy(shipped, tmp_path, monkeypatch):
    site = tmp_path / "site-packages"
    (site / "mppi_zoo" / "gin_files").mkdir(parents=True)
    (site / "mppi_zoo" / "gin_files" / "x.gin").touch()
    (site / "gin").mkdir()  # the gin module
    monkeypatch.setattr(gin_path, "PACKAGE", site / "mppi_zoo")
    assert gin_path.gin_folder() == site / "mppi_zoo" / "gin_files"
    assert gin_path.find_gin("gin/x") == site / "mppi_zoo" / "gin_files" / "x.gin"


def test_the_gin_module_is_never_taken_for_the_folder(tmp_path, monkeypatch):
    (tmp_path / "gin").mkdir()
    monkeypatch.setattr(gin_path, "PACKAGE", tmp_path / "mppi_zoo")
    with pytest.raises(FileNotFoundError, match="gin_files"):
        gin_path.gin_folder()
