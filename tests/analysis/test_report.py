"""The report: one page that needs nothing else, for one run or many, old or new."""

from __future__ import annotations

import os
import re
import shutil
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.run_folders import make_run
from support.short_runs import ToyRuns

from mppi_zoo.analysis import report
from mppi_zoo.analysis.sections import number

LAPTOP = Path(__file__).resolve().parents[2] / "baselines" / "results" / "laptop"


class Reader(HTMLParser):
    """Collects headings, addresses and whether tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.headings: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("h2", "h3"):
            self.headings.append(data)


def read(page: Path) -> tuple[Reader, str]:
    text = page.read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(text)
    assert not reader.open
    for address in reader.addresses:
        assert address.startswith(("#", "data:image/svg+xml;base64,", "data:video/mp4;base64,"))
    return reader, unescape(re.sub(r"data:[^\"]+", "", text))


def test_committed_results(tmp_path: Path) -> None:
    assert report.main([str(LAPTOP), "--out", str(tmp_path / "page")]) == 0
    reader, text = read(tmp_path / "page" / "index.html")
    for heading in ("Learning curves", "Against published curves", "Aggregates", "Final scores"):
        assert heading in reader.headings
    assert "No diagnostics in runs of an earlier version" in text
    assert "902 [883, 921]" in text  # two seeds of BMPC-equivalent at 20,000 steps
    assert "TD-MPC2's release: Hansen et al." in text
    assert "@PlannerPrior" in text and "@LearnedPrior" in text
    first = (tmp_path / "page" / "index.html").read_bytes()
    assert report.main([str(LAPTOP), "--out", str(tmp_path / "page")]) == 0
    assert (tmp_path / "page" / "index.html").read_bytes() == first


def test_one_run_with_diagnostics_and_video(tmp_path: Path, toy_run: ToyRuns, capsys) -> None:
    folder = tmp_path / "run"
    shutil.copytree(toy_run("pompc_adaptive_fkl"), folder)
    (folder / "videos").mkdir(exist_ok=True)
    (folder / "videos" / "evaluation_120.mp4").write_bytes(b"not really a film")
    (tmp_path / "junk").mkdir()
    arguments = [str(folder), str(tmp_path / "junk"), "--out", str(tmp_path / "page")]
    assert report.main([*arguments, "--title", "a <b> & c"]) == 0
    reader, text = read(tmp_path / "page" / "index.html")
    assert "Evaluation videos" in reader.headings and "Skipped" in reader.headings
    assert "<b>" not in (tmp_path / "page" / "index.html").read_text()
    assert "One run a method and task" in text
    assert "One configuration: nothing to compare" in text
    assert "earlier version" not in text
    assert "Against published curves" not in reader.headings
    assert "junk: " in text and "skipped" in capsys.readouterr().err


def test_nothing_to_report_is_an_error(tmp_path: Path, capsys) -> None:
    (tmp_path / "empty").mkdir()
    assert report.main([str(tmp_path / "empty"), "--out", str(tmp_path / "page")]) == 2
    assert "not a run folder" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize(
    ("value", "text"), [(902.4, "902"), (-3.21, "−3.2"), (12_345, "12,345"), (float("nan"), "")]
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_what_lies_outside_is_neither_shown_nor_written(tmp_path: Path, capsys) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a password")
    run, page = make_run(tmp_path / "run"), tmp_path / "page"
    (run / "videos").mkdir()
    (run / "videos" / "film.mp4").symlink_to(secret)
    page.mkdir()
    for name in ("index.html", "index.html.tmp"):
        (page / name).symlink_to(secret)
    assert report.main([str(run), "--out", str(page)]) == 0
    assert secret.read_text() == "a password"
    text = (page / "index.html").read_text()
    assert "Evaluation videos" not in text and not (page / "index.html").is_symlink()
    metrics = run / "metrics.csv"
    metrics.rename(tmp_path / "metrics.csv")
    metrics.symlink_to(tmp_path / "metrics.csv")
    assert report.main([str(run), "--out", str(page)]) == 2
    assert f"{metrics} lies outside its folder" in capsys.readouterr().err


def test_a_pipe_among_the_videos_is_left_out(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (run / "videos").mkdir()
    os.mkfifo(run / "videos" / "film.mp4")
    (run / "videos" / "folder.mp4").mkdir()
    assert report.main([str(run), "--out", str(tmp_path / "page")]) == 0
    assert "Evaluation videos" not in (tmp_path / "page" / "index.html").read_text()
