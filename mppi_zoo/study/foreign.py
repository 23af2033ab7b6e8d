"""What a study's own file would import; see :mod:`mppi_zoo.config.trust`."""

from __future__ import annotations

import itertools
from pathlib import Path

from mppi_zoo.study.file import STUDY_FILE
from mppi_zoo.study.grid import Study


def refuse_foreign(study: Study, path: Path, *, runs: bool) -> None:
    """Raise if the file in a study's folder names modules that nobody else named.

    A study file of any other name is the user's own, as a gin file is: they gave its path.

    Args:
        path: of the file that the study was read from.
        runs: whether its runs will be started, which makes their environments.

    Raises:
        ForeignCode: naming the modules.
    """
    if path.name != STUDY_FILE:
        return
    # here, since it imports torch, which a study's jobs need not wait for
    from mppi_zoo.config import trust

    searched = {} if study.search is None else study.search.parameters
    values = [*study.grid.items(), *((name, domain.ends) for name, domain in searched.items())]
    points = itertools.chain.from_iterable(
        [f"{name}={value}" for value in texts] for name, texts in values
    )
    modules = [
        *imports(study.arguments),
        *trust.modules_of_gin([*study.members, *study.gin], [*study.params, *points]),
    ]
    trust.refuse_modules(modules, str(path))
    for task in study.tasks if runs else ():
        trust.refuse_task(task, str(path))


def imports(arguments: tuple[str, ...]) -> list[str]:
    """The modules that options of ``mppi_zoo.run`` import, abbreviated or not."""
    words = [word for argument in arguments for word in argument.split("=", 1)]
    pairs = zip(words, words[1:], strict=False)
    return [module for option, module in pairs if _is_import(option)]


def _is_import(option: str) -> bool:
    return option.startswith("--i") and "--import".startswith(option)
