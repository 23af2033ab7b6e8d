"""Files of a folder that somebody else may have made: what is read of them, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mppi_zoo.runs import reader


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder, with a file beside it that is not the run's."""
    (tmp_path / "secret.txt").write_text("outside\n")
    folder = tmp_path / "run"
    (folder / "videos").mkdir(parents=True)
    (folder / "run.json").write_text('{"seed": 1}')
    return folder


READERS: tuple[Callable[[Path, str], object], ...] = (
    reader.read_text,
    reader.read_lines,
    reader.read_object,
    reader.read_object_lines,
    lambda folder, name: reader.read_rows(folder, name, ("step", "value")),
)


@pytest.mark.parametrize("read", READERS)
def test_no_reader_leaves_the_folder_or_waits(folder: Path, read) -> None:
    (folder / "link").symlink_to(folder.parent / "secret.txt")
    (folder / "away").symlink_to(folder.parent)
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")
    for name in ("link", "../secret.txt", str(folder.parent / "secret.txt"), "away/secret.txt"):
        with pytest.raises(ValueError, match="lies outside its folder"):
            read(folder, name)
        assert not reader.exists(folder, name)
    with pytest.raises(ValueError, match=r"run/pipe is a pipe, expected a file"):
        read(folder, "pipe")
    with pytest.raises(ValueError, match=r"run/videos is a folder"):
        read(folder, "videos")
    with pytest.raises(ValueError, match=r"run/loop cannot be read: Too many levels"):
        read(folder, "loop")
    for name in ("absent", "run.json/below"):
        with pytest.raises(FileNotFoundError, match=f"no file {folder / name}"):
            read(folder, name)
    assert not any(reader.exists(folder, name) for name in ("pipe", "videos", "loop", "absent"))


def test_links_within_the_folder_and_to_the_folder_are_followed(folder: Path) -> None:
    (folder / "same.json").symlink_to("run.json")
    alias = folder.parent / "alias"
    alias.symlink_to(folder)
    for place, name in ((folder, "same.json"), (alias, "run.json"), (alias, "same.json")):
        assert reader.read_object(place, name) == {"seed": 1} and reader.exists(place, name)
    reader.refuse_links(folder)
    reader.refuse_links(alias)


def test_large_files_are_refused_by_their_size(folder: Path) -> None:
    with (folder / "big.json").open("wb") as file:
        file.truncate(reader.JSON_LIMIT + 1)  # a hole: no disk is used
    with pytest.raises(ValueError, match=r"big.json has 16,777,217 bytes, expected at most"):
        reader.read_object(folder, "big.json")
    assert reader.read_bytes(folder, "run.json", 11) == b'{"seed": 1}'
    with pytest.raises(ValueError, match="expected at most 10"):
        reader.read_bytes(folder, "run.json", 10)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[1]", "holds a JSON list, expected an object"),
        (b"{broken", "is not readable JSON"),
        (b"[" * 200_000, "is not readable JSON"),
        (b"\xff\xfe{}", "is not readable JSON"),
    ],
)
def test_what_is_no_object_is_named(folder: Path, content: bytes, reason: str) -> None:
    (folder / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=reason) as caught:
        reader.read_object(folder, "a.json")
    assert str(folder / "a.json") in str(caught.value)
    (folder / "a.jsonl").write_bytes(b'{"fine": 0}\n' + content + b"\n")
    with pytest.raises(ValueError, match=f"line 2 of .*a.jsonl {reason}"):
        reader.read_object_lines(folder, "a.jsonl")


def test_lines_rows_and_tails(folder: Path) -> None:
    (folder / "t.csv").write_bytes(b"step,value\n1,2.0\n3,\xff\n5,6")
    assert reader.read_lines(folder, "t.csv") == ["step,value", "1,2.0", "3,\ufffd"]
    assert reader.read_rows(folder, "t.csv", ("step", "value")) == [["1", "2.0"], ["3", "\ufffd"]]
    with pytest.raises(ValueError, match="does not have the columns step,metric"):
        reader.read_rows(folder, "t.csv", ("step", "metric"))
    assert reader.last_lines(folder, "t.csv", 2) == ["3,\ufffd", "5,6"]
    assert reader.last_lines(folder, "absent", 2) == []
    assert reader.last_lines(folder, "t.csv", 9, most=4) == ["", "5,6"]
    (folder / "t.csv").write_bytes(b"step,value\n1\n")
    with pytest.raises(ValueError, match=r"line 2 of .*t.csv has 1 cells, not 2"):
        reader.read_rows(folder, "t.csv", ("step", "value"))
    (folder / "t.gin").write_bytes(b"a = '\xff'")
    with pytest.raises(ValueError, match=r"t.gin is not UTF-8 text"):
        reader.read_text(folder, "t.gin")


def test_files_of_a_kind_are_found_without_those_elsewhere(folder: Path) -> None:
    for name in ("b.mp4", "a.mp4", "c.txt"):
        (folder / "videos" / name).touch()
    (folder / "videos" / "d.mp4").symlink_to(folder.parent / "secret.txt")
    os.mkfifo(folder / "videos" / "e.mp4")
    (folder / "videos" / "f.mp4").mkdir()
    assert [path.name for path in reader.find(folder, "videos", ".mp4")] == ["a.mp4", "b.mp4"]
    assert reader.find(folder, "absent", ".mp4") == []


def test_a_link_that_leaves_is_found_wherever_it_is(folder: Path) -> None:
    reader.refuse_links(folder)
    (folder / "videos" / "x.mp4").symlink_to(folder.parent / "not there yet")
    with pytest.raises(ValueError, match=r"videos/x.mp4 lies outside its folder"):
        reader.refuse_links(folder)
