"""Executes the notebooks in place: ``python notebooks/execute.py [NAME...]``.

Each starts from a fresh kernel, with the package of this checkout.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent
VOLATILE = ("execution",)  # metadata of a cell that differs between two executions


def notebooks() -> list[Path]:
    """All notebooks, in order."""
    return sorted(FOLDER.glob("*.ipynb"))


def execute(path: Path, timeout: int = 600) -> nbformat.NotebookNode:
    """The notebook with fresh outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    # the kernel is a process of its own: it inherits where the package lies
    known = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(FOLDER.parent), *([known] if known else [])])
    try:
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(notebook, timeout=timeout, resources={"metadata": {"path": FOLDER}})
        client.execute()
    finally:
        if known is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = known
    for cell in notebook.cells:
        for name in VOLATILE:
            cell.metadata.pop(name, None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    return notebook


def main(names: list[str]) -> None:
    """Executes and writes those whose name begins with one of ``names``; all without any."""
    for path in notebooks():
        if names and not any(path.name.startswith(name) for name in names):
            continue
        begun = time.perf_counter()
        nbformat.write(execute(path), path)
        size = path.stat().st_size / 1024
        print(f"{path.name}: {time.perf_counter() - begun:.0f} s, {size:.0f} KiB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
