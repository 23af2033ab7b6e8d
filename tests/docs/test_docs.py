"""README and docs are true: the table is generated, examples run, links lead somewhere."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from support.agents import MEMBERS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
WITH_EXAMPLES = ("README.md", "docs/extending.md", "docs/tracking.md")
BLOCKS = [
    block
    for page in WITH_EXAMPLES
    for block in re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
]


def test_member_table_is_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    sys.modules.pop("member_table", None)
    import member_table  # pyright: ignore[reportMissingImports]

    page = (ROOT / "docs" / "members.md").read_text()
    assert member_table.rewritten(page) == page, "run: python docs/member_table.py"
    # every member is in it, with each cell filled in
    files = {file.stem for file in (ROOT / "gin").glob("*.gin")} - {"base", "debug", "terminations"}
    assert set(member_table.members()) == files == set(MEMBERS)
    for line in member_table.table().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) == 9 and all(cells), line


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_examples_run(block: str) -> None:
    exec(compile(block, "a page", "exec"), {"__name__": "readme"})


def test_there_are_examples() -> None:
    assert len(BLOCKS) >= 5
    lines = README.splitlines()
    assert len(lines) < 180 and lines[2].startswith("![")  # short, and opens with a picture


@pytest.mark.parametrize(
    "path", ["README.md", *(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md"))]
)
def test_links_lead_somewhere(path: str) -> None:
    file = ROOT / path
    for link in re.findall(r"\]\(([^)#]+)\)", file.read_text()):
        if "://" not in link:
            assert (file.parent / link).exists(), f"{path}: {link}"


def test_the_table_of_studies_is_true() -> None:
    from mppi_zoo.study import expand, find_study, read_study
    from mppi_zoo.study.command_line import forecast_search
    from mppi_zoo.study.grid import cells

    text = (ROOT / "docs/studies.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\d+) \| ([\d.,]+) \| (\w+)( h)? \|$", text, re.M)
    assert {name for name, *_ in rows} == {path.stem for path in ROOT.glob("studies/*.yaml")}
    for name, runs, millions, hours, _ in rows:
        study = read_study(find_study(name))
        found = forecast_search(study, cells(study))[1] if study.search else expand(study)
        steps = sum(run.steps for run in found)
        assert (runs, millions) == (str(len(found)), f"{steps / 1e6:,.2f}"), name
        assert hours in ("GPU", f"{steps / 16 / 3600:.0f}"), name
