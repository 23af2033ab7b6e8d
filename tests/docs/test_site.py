"""The site's sources: every page in its contents, every public name on a page of the API."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path

import pytest

import mppi_zoo

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    sys.modules.pop("site_pages", None)
    return importlib.import_module("site_pages")


def test_every_public_name_has_a_place(site, tmp_path: Path) -> None:
    site.stage(tmp_path)
    pages = {page.stem: page.read_text() for page in (tmp_path / "api").glob("*.md")}
    # the package's own names, each leading to what it stands for
    for name in mppi_zoo.__all__:
        (place,) = re.findall(rf"\[`mppi_zoo\.{name}`\]\[([\w.]+)\]", pages["mppi_zoo"])
        module, _, own = place.rpartition(".")
        assert getattr(importlib.import_module(module), own) is getattr(mppi_zoo, name)
    # every module of every room, and in it every public class
    shown = {name for page in pages.values() for name in re.findall(r"^::: ([\w.]+)$", page, re.M)}
    classes = 0
    for room in site.ROOMS:
        package = importlib.import_module(f"mppi_zoo.{room}")
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            last = found.name.rpartition(".")[2]
            if last.startswith("_"):
                continue
            assert found.name in shown
            if room not in ("study", "analysis"):  # slow to import; their modules are shown whole
                module = importlib.import_module(found.name)
                own = [c for _, c in inspect.getmembers(module, inspect.isclass)]
                classes += sum(c.__module__ == found.name and bool(c.__doc__) for c in own)
    assert classes > 100  # else the search has gone blind


def test_every_page_is_in_the_contents(site, tmp_path: Path) -> None:
    nav = site.stage(tmp_path)
    named = {name for part in nav for pages in part.values() for p in pages for name in p.values()}
    pages = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/*.md")}
    assert pages <= named
    assert {f"notebooks/{path.name}" for path in ROOT.glob("notebooks/*.ipynb")} <= named
    assert all((tmp_path / name).is_file() for name in named)


def test_one_version_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^version: (.+)$", citation, re.M) == [mppi_zoo.__version__]
    assert f"## {mppi_zoo.__version__} " in (ROOT / "CHANGELOG.md").read_text()
