"""What an annotation of a parameter declares, in words, for the messages of :mod:`.checks`."""

from __future__ import annotations

import collections.abc
import inspect
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from mppi_zoo.core.kinds import UNIONS
from mppi_zoo.core.ranges import MayBeInfinite, Rule

SIMPLE = {int: "an integer", float: "a finite number", bool: "True or False", str: "text"}


def expectation(hint: Any) -> str:
    """What an annotation declares, in words: "an integer of at least 1, or None"."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _with_range(arguments[0], hint.__metadata__)
    if origin in UNIONS:
        return " or ".join(dict.fromkeys(map(expectation, arguments)))  # each once
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if hint in SIMPLE:
        return SIMPLE[hint]
    if hint in (None, type(None)):
        return "None"
    if origin is collections.abc.Callable:
        return _callable(arguments)
    if origin is tuple and Ellipsis not in arguments:
        kinds = dict.fromkeys(map(expectation, arguments))
        if len(kinds) == 1:
            return f"{len(arguments)} values, each {next(iter(kinds))}"
        return f"{len(arguments)} values: {', '.join(map(expectation, arguments))}"
    if inspect.isclass(origin) and issubclass(origin, Mapping) and len(arguments) == 2:
        return f"a mapping of {' to '.join(map(expectation, arguments))}"
    if inspect.isclass(origin) and arguments:
        return f"a list of which each is {expectation(arguments[0])}"
    return f"a {getattr(hint, '__name__', hint)}"


def _callable(arguments: tuple[Any, ...]) -> str:
    *_, takes, gives = arguments or (..., None)
    words = "a class or function"
    if isinstance(takes, list):
        words += f" of ({', '.join(_name(one) for one in takes)})"
    return words if gives in (None, type(None), Any) else f"{words} that gives {_name(gives)}"


def _name(hint: Any) -> str:
    if typing.get_origin(hint) in UNIONS:
        return " or ".join(map(_name, typing.get_args(hint)))
    return getattr(hint, "__name__", str(hint))


def _with_range(base: Any, conditions: tuple[Any, ...]) -> str:
    if base not in (int, float):
        rules = [condition.text for condition in conditions if isinstance(condition, Rule)]
        return ", ".join([expectation(base), *rules])
    limits: dict[type, Any] = {}
    for condition in conditions:
        for kind, attribute in ((Gt, "gt"), (Ge, "ge"), (Lt, "lt"), (Le, "le")):
            if isinstance(condition, kind):
                limits[kind] = getattr(condition, attribute)
    low = limits.get(Ge, limits.get(Gt))
    high = limits.get(Le, limits.get(Lt))
    words = "an integer" if base is int else "a number"
    if MayBeInfinite() in conditions:
        return f"{words} in [{low}, inf]"
    if low is not None and high is not None:
        begin, end = "[" if Ge in limits else "(", "]" if Le in limits else ")"
        return f"{words} in {begin}{low}, {_limit(high)}{end}"
    if low is not None:
        return f"{words} of at least {low}" if Ge in limits else f"{words} above {low}"
    if high is not None:
        return f"{words} of at most {high}" if Le in limits else f"{words} below {high}"
    return words


def _limit(number: float) -> str:
    """A number as text, a large power of two as such."""
    power = int(number).bit_length() - 1
    return f"2**{power}" if power >= 20 and number == 2**power else str(number)
