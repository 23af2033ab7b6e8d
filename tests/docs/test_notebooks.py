"""The notebooks run from top to bottom, and are committed with outputs of modest size."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "notebooks"))

import execute  # noqa: E402  # pyright: ignore[reportMissingImports]

PATHS = execute.notebooks()


def test_all_four_are_there() -> None:
    assert [path.name.split("_")[0] for path in PATHS] == ["1", "2", "3", "4"]


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_executes(path: Path) -> None:
    fresh = execute.execute(path)
    kept = nbformat.read(path, as_version=4)
    for cell, before in zip(fresh.cells, kept.cells, strict=True):
        if cell.cell_type == "code":  # figures and tables appear where the committed ones are
            kinds = [{o.output_type for o in c.outputs} - {"stream"} for c in (cell, before)]
            assert kinds[0] == kinds[1], cell.source


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_is_committed_executed_and_small(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(o.output_type != "error" for cell in code for o in cell.outputs)
    assert path.stat().st_size < 2**20
    text = path.read_text()
    assert not re.search(r"/(tmp|home|work|Users)/", text), "a path of the machine it ran on"
