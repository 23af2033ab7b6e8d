"""The rooms of the package: their order, what lies in them, how long a file or a function may be.

A room is a folder of mppi_zoo/. It imports from itself and from rooms that stand before it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import mppi_zoo

TESTS = Path(__file__).resolve().parent
PACKAGE = Path(mppi_zoo.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

ROOMS = (
    "core",
    "compute",
    "runs",
    "networks",
    "planning",
    "objective",
    "agent",
    "envs",
    "training",
    "config",
    "deploy",
    "analysis",
    "cli",
    "study",
)
MATHEMATICS = ("networks", "planning", "objective")  # these know neither files nor settings
NO_MATHEMATICS = ("runs", "training", "config", "cli")
TOP = {"__init__.py", "py.typed", "run.py", "report.py", "export.py", "share.py", "tasks.py"}
NO_SOURCES = {"__pycache__", "gin_files", "studies_files"}  # the latter two come with a wheel

LINES_OF_A_MODULE = 300
LINES_OF_A_FUNCTION = 60
PARSERS = {"cli/arguments.py: parser", "study/command_line.py: parser"}  # of command lines: longer

# Tests in a room's folder that are about several of its modules.
OF_SEVERAL_MODULES = {
    "analysis/test_choosing.py",  # the numbers of docs/choosing_settings.md
    "envs/test_humanoid_bench_goldens.py",  # states recorded from the original program
    "envs/test_restoring.py",  # episodes of every suite, restored by the vector and the view
}


def imports(module: Path) -> Iterator[str]:
    """Full names of what a module imports, within functions and for annotations alone too."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ("." * node.level + f"{node.module}.{name.name}" for name in node.names)


def room_imports() -> Iterator[tuple[str, str, str]]:
    """(module, its room, room that it imports from); what lies in no room is ""."""
    for module in MODULES:
        place = module.relative_to(PACKAGE)
        own = place.parts[0] if len(place.parts) > 1 else ""
        for name in imports(module):
            assert name[0] != ".", f"{place}: write the full name instead of {name}"
            package, _, inside = name.partition(".")
            if package == PACKAGE.name:
                other = inside.split(".")[0]
                yield place.as_posix(), own, other if other in ROOMS else ""


def test_a_room_imports_only_from_rooms_before_it() -> None:
    order = (*ROOMS, "")
    found = [f"{m}: {b}" for m, a, b in room_imports() if order.index(b) > order.index(a)]
    assert found == []


def test_the_mathematics_know_neither_files_nor_settings() -> None:
    found = [f"{m}: {b}" for m, a, b in room_imports() if a in MATHEMATICS and b in NO_MATHEMATICS]
    assert found == []


def test_every_kind_of_import_is_seen(tmp_path: Path) -> None:
    """The two tests above would pass if none were."""
    module = tmp_path / "module.py"
    module.write_text(
        "import mppi_zoo.core.math, os\n"
        "from mppi_zoo import envs\n"
        "if TYPE_CHECKING:\n    from mppi_zoo.cli.main import main as run\n"
        "def act():\n    from mppi_zoo.agent import losses, views\n"
    )
    assert set(imports(module)) == {
        "mppi_zoo.core.math",
        "os",
        "mppi_zoo.envs",
        "mppi_zoo.cli.main.main",
        "mppi_zoo.agent.losses",
        "mppi_zoo.agent.views",
    }
    assert ("cli/setup.py", "cli", "agent") in set(room_imports())


def test_nothing_else_lies_at_the_top_of_the_package() -> None:
    found = {path.name for path in PACKAGE.iterdir()} - NO_SOURCES
    assert found == TOP | set(ROOMS)


def test_no_module_is_too_long() -> None:
    lines = {m: len(m.read_text(encoding="utf-8").splitlines()) for m in MODULES}
    found = [f"{m.relative_to(PACKAGE)}: {n}" for m, n in lines.items() if n > LINES_OF_A_MODULE]
    assert found == []


def test_no_function_is_too_long() -> None:
    found = set()
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LINES_OF_A_FUNCTION:
                    found.add(f"{module.relative_to(PACKAGE).as_posix()}: {node.name}")
    assert found - PARSERS == set()


def test_a_test_in_a_rooms_folder_has_the_name_of_its_module() -> None:
    found = []
    for room in ROOMS:
        inside = [path.relative_to(PACKAGE / room) for path in (PACKAGE / room).rglob("*")]
        names = {"_".join(path.with_suffix("").parts) for path in inside}
        for test in sorted((TESTS / room).glob("test_*.py")):
            if test.stem.removeprefix("test_") not in names:
                found.append(f"{room}/{test.name}")
    assert sorted(set(found) - OF_SEVERAL_MODULES) == []


def test_every_seeded_fault_still_fits() -> None:
    from mutations.run import MUTATIONS, does_not_fit

    # make mutations is slow, and refuses to begin when a change has moved a line
    assert [why for mutation in MUTATIONS if (why := does_not_fit(TESTS.parent, mutation))] == []
