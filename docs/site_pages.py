"""The documentation site, from this repository: ``make docs``, then open ``site/index.html``.

What belongs to it is copied into ``build/docs`` with the repository's own folders, so that every
relative link holds there. Pages of the API are written from the package's modules: a public name
cannot be missing from them. Then MkDocs builds the pages, and any warning is an error.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
ROOMS = (
    *("core", "compute", "runs", "networks", "planning", "objective", "agent", "envs"),
    *("training", "config", "deploy", "analysis", "study", "cli"),
)

# Title and file of each page; those that are not there are left out.
PAGES: dict[str, list[tuple[str, str]]] = {
    "Start": [
        ("Home", "README.md"),
        ("The first hour", "docs/first_hour.md"),
        ("Command line", "docs/command_line.md"),
    ],
    "Methods": [
        ("Members", "docs/members.md"),
        ("Method", "docs/method.md"),
        ("Choosing settings", "docs/choosing_settings.md"),
        ("Terminations", "docs/terminations.md"),
        ("Properties and their tests", "docs/properties.md"),
    ],
    "Use": [
        ("Environments", "docs/environments.md"),
        ("Your own environment", "docs/your_own_environment.md"),
        ("On a robot", "docs/on_a_robot.md"),
        ("Parts of your own", "docs/extending.md"),
        ("Watch and share a run", "docs/tracking.md"),
        ("Studies", "docs/studies.md"),
        ("HumanoidBench", "docs/humanoid_bench.md"),
    ],
    "Run": [
        ("Speed", "docs/speed.md"),
        ("GPU", "docs/gpu.md"),
        ("Faults", "docs/faults.md"),
        ("Security", "SECURITY.md"),
    ],
    "Notebooks": [
        ("The planner", "notebooks/1_planner.ipynb"),
        ("The KL family", "notebooks/2_kl_family.ipynb"),
        ("Comparing members", "notebooks/3_compare_members.ipynb"),
        ("Published curves", "notebooks/4_published.ipynb"),
        ("Results and baselines", "baselines/README.md"),
        ("Published data", "baselines/published/README.md"),
    ],
    "Project": [("Contributing", "CONTRIBUTING.md"), ("Changelog", "CHANGELOG.md")],
}
# Further files that pages link to.
FILES = ("LICENSE", "constraints.txt", "pyproject.toml", "setup.py", "Makefile", "CITATION.cff")
FOLDERS = ("docs", "gin", "studies", "examples", "notebooks", "benchmarks", "baselines", "tests")
FOLDERS += ("mppi_zoo", ".github")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "results", "old_runs", "*.pyc", "*.ipynb")

Nav = list[dict[str, Any]]


def stage(folder: Path) -> Nav:
    """Write all sources of the site into an empty folder; returns its table of contents."""
    for name in FOLDERS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
    for name in FILES:
        if (ROOT / name).is_file():
            shutil.copyfile(ROOT / name, folder / name)
    nav: Nav = []
    for part, pages in PAGES.items():
        there = [(title, name) for title, name in pages if (ROOT / name).is_file()]
        for _, name in there:
            page = folder / name
            page.parent.mkdir(parents=True, exist_ok=True)
            if page.suffix == ".md":
                page.write_text(_for_site(ROOT / name), encoding="utf-8")
            else:
                shutil.copyfile(ROOT / name, page)
        nav.append({part: [{title: name} for title, name in there]})
    return [*nav, {"API": [{page.stem: f"api/{page.name}"} for page in _api(folder / "api")]}]


def _for_site(page: Path) -> str:
    """A page's text: code for Python is marked so, and links to folders lead to their list."""
    text = page.read_text(encoding="utf-8").replace("```python notest", "```python")

    def link(match: re.Match[str]) -> str:
        target = (page.parent / match[1]).resolve()
        inside = target.is_relative_to(ROOT)
        if inside and target.is_dir():
            name = os.path.relpath(_listing(target), page.parent)
            return f"]({name})"
        return match[0]

    return re.sub(r"\]\(([^)#:]+)\)", link, text)


def _listing(folder: Path) -> Path:
    """What a link to a folder leads to: its own README, or its first file."""
    readme = folder / "README.md"
    listed = {ROOT / name for pages in PAGES.values() for _, name in pages}
    if readme in listed:
        return readme
    pages = sorted(path for path in folder.rglob("*") if path in listed)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return (pages or files)[0]


def modules(room: str) -> list[str]:
    """The public modules of a room, by full name, in order; its own page first."""
    found = [
        path
        for path in sorted((ROOT / "mppi_zoo" / room).rglob("*.py"))
        if not path.name.startswith("_") or path.name == "__init__.py"
    ]
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in found)
    return [name.removesuffix(".__init__") for name in names]


def public_names() -> dict[str, str]:
    """The names that ``mppi_zoo`` itself offers, and the full name of what each stands for."""
    tree = ast.parse((ROOT / "mppi_zoo" / "__init__.py").read_text(encoding="utf-8"))
    homes = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_HOME"
    )
    return {name: f"mppi_zoo.{home}.{_defined(home, name)}" for name, home in sorted(homes.items())}


def _defined(home: str, name: str) -> str:
    """The name under which a module defines what it also calls ``name``."""
    file = (ROOT / "mppi_zoo" / home.replace(".", "/")).with_suffix(".py")
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return getattr(node.value, "id", name)
    return name


def _api(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    names = "\n".join(f"- [`mppi_zoo.{name}`][{place}]" for name, place in public_names().items())
    rooms = "\n".join(f"- [`mppi_zoo.{room}`]({room}.md)" for room in ROOMS)
    first = folder / "mppi_zoo.md"
    first.write_text(
        f"# mppi_zoo\n\n::: mppi_zoo\n    options:\n      members: false\n\n{names}\n\n"
        f"A room imports only from rooms before it:\n\n{rooms}\n",
        encoding="utf-8",
    )
    yield first
    for room in ROOMS:
        page = folder / f"{room}.md"
        parts = (f"## {name}\n\n::: {name}\n" for name in modules(room))
        page.write_text(f"# mppi_zoo.{room}\n\n" + "\n".join(parts), encoding="utf-8")
        yield page


def settings(sources: Path, out: Path, nav: Nav) -> dict[str, Any]:
    """The configuration of MkDocs."""
    toggle = {"icon": "material/brightness-6", "name": "light or dark"}
    schemes = (("light", "default"), ("dark", "slate"))
    palette = [
        {
            "media": f"(prefers-color-scheme: {name})",
            "scheme": scheme,
            "primary": "blue grey",
            "toggle": toggle,
        }
        for name, scheme in schemes
    ]
    handler = {
        "paths": [str(ROOT)],
        "options": {
            "docstring_style": "google",
            "docstring_options": {"warnings": False},
            "filters": ["!^_"],
            "members_order": "source",
            "show_source": False,
            "show_root_toc_entry": False,
            "show_if_no_docstring": False,
            "heading_level": 3,
            "separate_signature": True,
            "show_signature_annotations": True,
        },
    }
    return {
        "site_name": "mppi_zoo",
        "docs_dir": str(sources),
        "site_dir": str(out),
        "nav": nav,
        "theme": {
            "name": "material",
            "font": False,  # no other host is asked for anything
            "palette": palette,
            "features": ["navigation.tabs", "navigation.top", "content.code.copy", "toc.follow"],
        },
        "plugins": [
            "search",
            {"mkdocs-jupyter": {"execute": False, "include": ["notebooks/*.ipynb"]}},
            {"mkdocstrings": {"handlers": {"python": handler}}},
        ],
        "extra_css": ["docs/site.css"],
        "hooks": [str(ROOT / "docs" / "site_hooks.py")],
        "markdown_extensions": [
            *("tables", "attr_list", "md_in_html", "admonition"),
            *("pymdownx.superfences", "pymdownx.highlight"),
            {"toc": {"permalink": True, "toc_depth": 3}},
        ],
        "validation": {
            "omitted_files": "ignore",
            "absolute_links": "warn",
            "unrecognized_links": "warn",
            "anchors": "warn",
        },
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Build the site; returns MkDocs' exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "site", help="folder of the pages")
    out = parser.parse_args(argv).out.resolve()
    sources = ROOT / "build" / "docs"
    shutil.rmtree(sources, ignore_errors=True)
    sources.mkdir(parents=True)
    nav = stage(sources)
    file = ROOT / "build" / "mkdocs.yml"
    content = yaml.safe_dump(settings(sources, out, nav), sort_keys=False)
    file.write_text(content, encoding="utf-8")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--clean", "-f", str(file)]
    return subprocess.run(command, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}).returncode


if __name__ == "__main__":
    sys.exit(main())
