"""Citations lead somewhere: of "docs/method.md, section 4" the heading ``## 4.`` is there.

A number of a section stands beside what it is a section of: a file of this repository, which must
have it, or a paper. Specifications that are not in the repository are cited nowhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
METHOD = "docs/method.md"
PLACES = (
    *("*.md", "baselines/*.md", "docs/*.md", "tests/**/*.md"),
    *("mppi_zoo/**/*.py", "tests/**/*.py", "benchmarks/**/*.py", "baselines/*.py", "docs/*.py"),
    *("gin/**/*.gin", "studies/*.yaml", "notebooks/*.ipynb", "notebooks/*.py"),
)
NUMBER = r"\d+(?:\.\d+)?"
NUMBERS = rf"{NUMBER}(?:(?:, and |, | and | or | to ){NUMBER})*"
SECTIONS = re.compile(rf"\bsections? ({NUMBERS})(?:(?:'s)?,? propert(?:y|ies) ({NUMBERS}))?", re.I)
FILE = re.compile(r"(?:^|[\s(\[\"'`])((?:\.\./)?(?:docs/)?)(\w+)\.md[`)]*,? $|\[(\w+), $")
PROPERTIES_BEFORE = re.compile(rf"\bpropert(?:y|ies) ({NUMBERS}) \(\S+ $", re.I)
PAPERS = r"(?:TD-MPC2|BMPC|TD-M\(PC\)(?:\^2|²)|BOOM|PO-MPC|et al\.|arXiv)"
OF_A_PAPER = re.compile(rf"{PAPERS}[^()]{{0,40}}, $")
PAPER_FOLLOWS = re.compile(rf" (?:of|in) (?:the )?{PAPERS}")
ABSENT = re.compile(
    rf"\bspec(?:ification)?,? sections?\b|\bsections? {NUMBERS} of the spec(?:ification)?\b"
    r"|\b(?:algorithms|HumanoidBench) spec(?:ification)?\b|\"Spec\" in the comments",
    re.I,
)


class Citation(NamedTuple):
    """Sections of a source, and properties of its list."""

    source: str | None  # path from the root, "" for a paper, None where nothing is named
    sections: list[str]
    properties: list[str]


def flat(path: Path) -> str:
    """A file's text in one line, without the marks of comments."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return " ".join(re.sub(r"^[ \t]*#+ ?", "", text, flags=re.M).split())


def numbers(text: str) -> list[str]:
    """The numbers of "1, 3 to 5 and 7"."""
    found: list[str] = []
    for first, last in re.findall(rf"({NUMBER})(?: to ({NUMBER}))?", text):
        if last and first.isdigit() and last.isdigit():
            found += [str(n) for n in range(int(first), int(last) + 1)]
        else:
            found += [first, last] if last else [first]
    return found


def citations(text: str, own: str | None = None) -> Iterator[Citation]:
    """All in a text in one line; ``own``: the file that its bare citations are of."""
    for match in SECTIONS.finditer(text):
        before, after = text[max(0, match.start() - 80) : match.start()], text[match.end() :]
        source = own
        if named := FILE.search(before):
            source = f"docs/{named[2] or named[3]}.md"
        elif OF_A_PAPER.search(before) or PAPER_FOLLOWS.match(after):
            source = ""
        listed = match[2] or (named[1] if (named := PROPERTIES_BEFORE.search(before)) else "")
        yield Citation(source, numbers(match[1]), numbers(listed))


def headings(text: str) -> dict[str, str]:
    """Number of each numbered section of a Markdown file -> its text."""
    parts = re.split(rf"^##+ ({NUMBER})\.? ", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def complaint(citation: Citation) -> str | None:
    """What is wrong with a citation."""
    if citation.source == "":
        return None
    if citation.source is None:
        return f"section {citation.sections[0]} of what? Write ({METHOD}, section N)"
    if not (ROOT / citation.source).is_file():
        return f"{citation.source} does not exist"
    found = headings((ROOT / citation.source).read_text(encoding="utf-8"))
    for number in citation.sections:
        if number not in found:
            return f"{citation.source} has no section {number}"
    listed = re.findall(r"^(\d+)\. ", found[citation.sections[-1]], flags=re.M)
    for number in citation.properties:
        if number not in listed:
            return f"{citation.source}, section {citation.sections[-1]} has no property {number}"
    return None


def sources() -> list[Path]:
    """All files that may cite, but this one, whose examples are wrong on purpose."""
    found = {path for place in PLACES for path in ROOT.glob(place)} - {Path(__file__).resolve()}
    return sorted(found)


def test_the_method_has_the_eight_sections() -> None:
    text = (ROOT / METHOD).read_text(encoding="utf-8")
    numbered = re.findall(r"^## (\d+)\. \w", text, flags=re.M)
    assert numbered == [str(n) for n in range(1, 9)]


def test_the_method_lists_every_member() -> None:
    text = (ROOT / METHOD).read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| [QV], E \d", text, flags=re.M)
    members = {path.stem for path in ROOT.glob("gin/*.gin")} - {"base", "debug", "terminations"}
    assert sorted(rows) == sorted(members)


def test_citations_lead_somewhere() -> None:
    wrong, cited = [], 0
    for path in sources():
        own = METHOD if path == ROOT / METHOD else None
        for citation in citations(flat(path), own):
            cited += citation.source == METHOD
            if what := complaint(citation):
                wrong.append(f"{path.relative_to(ROOT)}: {what}")
    assert not wrong, "\n".join(wrong)
    assert cited > 30  # else the search has gone blind


def test_no_specification_outside_the_repository_is_cited() -> None:
    found = [
        (path.relative_to(ROOT), m[0]) for path in sources() for m in ABSENT.finditer(flat(path))
    ]
    assert not found, f"cite {METHOD} instead: " + "; ".join(f"{p}: {what}" for p, what in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the planner (docs/method.md, section 4).", None),
        ("(docs/method.md, sections 2 and 5)", None),
        ("docs/method.md, section 7, properties 1 to 5: limits", None),
        ("Properties 1 to 5 (docs/method.md, section 7): limits", None),
        ("[method](method.md), section 5.2", None),
        ("[method, section 5](method.md)", None),
        ("# TD-MPC2 (Hansen et al., ICLR 2024, sections 3 and appendix H)", None),
        ("Section 4 of PO-MPC", None),
        ("the sections of a report, Section(12), section ends", None),
        ("(docs/method.md, section 12)", "has no section 12"),
        ("docs/method.md, sections 6 to 9", "has no section 9"),
        ("docs/method.md, section 7, property 11", "has no property 11"),
        ("Properties 9 to 11 (docs/method.md, section 7)", "has no property 11"),
        ("(docs/method.md, section 5.9)", "has no section 5.9"),
        ("BMPC leaves the hidden layers so (section 2)", "of what"),
        ("docs/humanoid_bench.md, section 3", "has no section 3"),
        ("docs/no_such_file.md, section 3", "does not exist"),
    ],
)
def test_what_counts_as_wrong(text: str, expected: str | None) -> None:
    found = [what for citation in citations(text) if (what := complaint(citation))]
    assert len(found) == (expected is not None), found
    assert expected is None or expected in found[0]


@pytest.mark.parametrize(
    "text",
    [
        "the planner (spec section 4)",
        "Spec sections 2 and 5",
        "algorithms specification, section 1",
        "Source: HumanoidBench spec, section 3",
        "the table of section 6 of the specification",
    ],
)
def test_what_counts_as_a_specification_elsewhere(text: str) -> None:
    assert ABSENT.search(text)
    assert not ABSENT.search("the spec's sections; an observation spec; a MuJoCo specification")
