"""What files of a run's or a study's folder would import; nothing is imported unless asked for.

Whoever imports a module runs its code. A folder may come from somebody else, so the modules that it
names are imported only if the user names them too (``--import``, or the module of ``--task``), has
imported them before, or says that the folder is trusted: ``--trust`` on a command line,
``imports=True`` of :func:`mppi_zoo.load`. See SECURITY.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from gin import config_parser

from mppi_zoo.config.paths import find_gin, gin_folder
from mppi_zoo.envs.registry import SUITES
from mppi_zoo.runs import reader

ANYTHING = "__gin__"  # `from __gin__ import dynamic_registration` lets gin call any function


class ForeignCode(ValueError):
    """A folder names modules that nobody asked for."""


def refuse_modules(modules: Iterable[str], where: str, given: Sequence[str] = ()) -> None:
    """Raise for modules that would be imported because a folder names them.

    Args:
        modules: what would be imported.
        where: the folder or the file that names them.
        given: modules that the user named.

    Raises:
        ForeignCode: for those that are neither given nor imported already.
    """
    new = [m for m in modules if m not in given and (m == ANYTHING or m not in sys.modules)]
    if new:
        _refuse(new, where)


def refuse_task(task: str, where: str, given: Sequence[str] = ()) -> None:
    """Raise for the task of a folder if a module of the user's would be imported and called.

    That the module is imported already does not suffice: ``os:abort`` would be called all the same.

    Raises:
        ForeignCode: naming the module.
    """
    module = task_module(task)
    if module and module not in given:
        _refuse([module], where)


def task_module(task: str) -> str:
    """The module that a task names, ``my_module`` of ``my_module:MyEnv``; or an empty text."""
    suite, _, name = task.partition(":")
    if suite in ("gym", "vec"):
        return name.rpartition(":")[0]
    return "" if suite in SUITES else suite


def modules_of_record(record: dict[str, Any]) -> list[str]:
    """The modules that a run's ``run.json`` lists.

    Raises:
        ValueError: the list is none.
    """
    listed = record.get("imports") or []
    if not (isinstance(listed, list) and all(isinstance(name, str) for name in listed)):
        raise ValueError(f"run.json: imports = {listed!r}: expected a list of names of modules")
    return listed


def modules_of_run_config(folder: Path, name: str) -> list[str]:
    """The modules that a run's configuration imports.

    Raises:
        FileNotFoundError, ValueError: it cannot be read, or includes other files.
    """
    modules, includes = _statements(reader.read_text(folder, name))
    if includes:
        raise ValueError(
            f"{folder / name} includes {includes[0]}: a run writes its configuration whole"
        )
    return modules


def modules_of_gin(files: Sequence[str], bindings: Sequence[str]) -> list[str]:
    """The modules that gin files, what they include, and bindings import.

    The files that come with the package are trusted.

    Raises:
        FileNotFoundError: there is no such file.
    """
    shipped = gin_folder().resolve()
    paths = [find_gin(name) for name in files]
    places = [Path(), shipped, *(path.parent for path in paths)]
    modules, includes = _statements("\n".join(bindings))
    waiting, seen = [*paths], set()
    while waiting or includes:
        for name in includes:
            found = [path for place in places if (path := place / name).is_file()]
            waiting += found
            if not found:  # gin looks for it in a package, which it imports
                modules.append(Path(name).parts[0])
        includes = []
        for path in {path.resolve() for path in waiting} - seen:
            seen.add(path)
            if not path.is_relative_to(shipped):
                more, included = _statements(reader.read_text(path.parent, path.name))
                modules += more
                includes += included
        waiting = []
    return modules


def _statements(text: str) -> tuple[list[str], list[str]]:
    """What a gin text imports, and what it includes, by gin's own parser.

    Up to a mistake in it: gin, too, does what stands before.
    """
    modules: list[str] = []
    includes: list[str] = []
    try:
        for statement in config_parser.ConfigParser(text, _Blind()):
            if isinstance(statement, config_parser.ImportStatement):
                modules.append(statement.module)
            elif isinstance(statement, config_parser.IncludeStatement):
                includes.append(statement.filename)
    except Exception:  # the caller parses it again, and says what is wrong
        pass
    return modules, includes


class _Blind(config_parser.ParserDelegate):
    """Takes references and macros for nothing, so that no part need exist."""

    def configurable_reference(self, scoped_name: str, evaluate: bool) -> None:
        return None

    def macro(self, name: str) -> None:
        return None


def _refuse(modules: Sequence[str], where: str) -> NoReturn:
    names = ", ".join(dict.fromkeys(modules))
    options = " ".join(f"--import {name}" for name in dict.fromkeys(modules))
    raise ForeignCode(
        f"{where} would import {names}, and with it run its code. If you trust it, name what may "
        f"be imported ({options}), or give --trust; in Python: imports=True"
    )
