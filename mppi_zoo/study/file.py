"""The study file: YAML that describes a study; a copy is kept in the study's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from mppi_zoo.config.paths import shipped_folder
from mppi_zoo.runs import reader
from mppi_zoo.study.grid import Study, numbered
from mppi_zoo.study.space import read_search, search_content

STUDY_FILE = "study.yaml"


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, of which YAML would take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep=deep)
        if len(mapping) < len(node.value):
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            twice = sorted({repr(key) for key in keys if keys.count(key) > 1})
            raise yaml.constructor.ConstructorError(
                None, None, f"{', '.join(twice)} more than once", node.start_mark
            )
        return mapping


def find_study(name: str) -> Path:
    """The study file that ``name`` stands for: a file, a study's folder, or a shipped study.

    Raises:
        FileNotFoundError: there is none; lists the shipped studies.
    """
    path = Path(name).expanduser()
    shipped = shipped_folder("studies")
    candidates = [path, path / STUDY_FILE, path.with_name(path.name + ".yaml")]
    candidates += [shipped / f"{path.name.removesuffix('.yaml')}.yaml"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    known = ", ".join(sorted(file.stem for file in shipped.glob("*.yaml")))
    raise FileNotFoundError(
        f"no study {name!r}: give a YAML file, the folder of a study that was begun, or one of the "
        f"shipped studies: {known}"
    )


def read_study(path: Path) -> Study:
    """Read a study file.

    ``seeds`` may be a number n, which means 1 to n; a single value may stand for a list of one.
    Values of the grid are written as in gin; text that begins with @ or % needs quotes in YAML.

    Raises:
        ValueError: it is not YAML, or has keys that :class:`Study` does not have.
    """
    # a file that the user names may be a link; the one in a study's folder may not lead out of it
    own = path if path.name == STUDY_FILE else path.resolve()
    try:
        content = yaml.load(reader.read_text(own.parent, own.name), _Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{path} is not readable YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, expected keys and values")
    known = [entry.name for entry in fields(Study)]
    unknown = [str(key) if key else repr(key) for key in content if key not in known]
    if unknown:
        raise ValueError(f"{path}: unknown {', '.join(unknown)}; a study has {', '.join(known)}")
    lacking = sorted({"members", "tasks"} - set(content))
    if lacking:
        raise ValueError(f"{path}: {', '.join(lacking)} missing")
    try:
        return Study(**{name: _value(name, value) for name, value in content.items()})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def study_text(study: Study) -> str:
    """The study as YAML, from which :func:`read_study` gives an equal study."""
    content = {entry.name: getattr(study, entry.name) for entry in fields(study)}
    content["grid"] = {name: list(values) for name, values in study.grid.items()}
    content["search"] = None if study.search is None else search_content(study.search)
    for name, value in content.items():
        if isinstance(value, tuple):
            content[name] = list(value)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _value(name: str, value: Any) -> Any:
    if name == "seeds":
        if isinstance(value, bool) or not isinstance(value, int | list):
            raise ValueError(f"seeds = {value!r}: expected a number of seeds or a list of them")
        return numbered(value) if isinstance(value, int) else tuple(value)
    if name == "grid":
        if not isinstance(value, Mapping):
            raise ValueError(f"grid = {value!r}: expected parameters and lists of values")
        return {key: tuple(map(gin_text, _listed(values))) for key, values in value.items()}
    if name == "search":
        try:
            return None if value is None else read_search(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"search: {error}") from error
    return value if name in ("steps", "threads", "title") else tuple(_listed(value))


def gin_text(value: Any) -> str:
    """A value from YAML as gin text; strings are unchanged."""
    return value if isinstance(value, str) else repr(value)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
