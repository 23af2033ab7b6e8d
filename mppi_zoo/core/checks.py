"""Whether a value fits the annotation of a parameter.

Understands what constructors of parts are annotated with: numbers and their ranges
(:mod:`mppi_zoo.core.ranges`), classes, protocols, callables, unions, tuples, sequences, mappings.
Whatever else an annotation says is taken as no condition.
"""

from __future__ import annotations

import collections.abc
import inspect
import math
import numbers
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from mppi_zoo.core.expectation import expectation
from mppi_zoo.core.kinds import UNIONS, Made, Named, is_protocol, may_fit, methods, takes_and_gives
from mppi_zoo.core.ranges import MayBeInfinite, Rule


def check(name: str, value: Any, hint: Any, text: str = "") -> None:
    """Refuse a value that does not fit.

    Args:
        name: of the parameter, such as ``MPPIPlanner.horizon``.
        hint: its annotation.
        text: the value as the user wrote it; empty for its repr.

    Raises:
        ValueError: naming parameter, value and expectation.
    """
    if not fits(value, hint):
        raise ValueError(f"{name} = {_short(text or repr(value))}: expected {expectation(hint)}")


def fits(value: Any, hint: Any) -> bool:
    """Whether a value, or what a :class:`Made` or :class:`Named` stands for, fits an annotation."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(value, Made):
        return may_fit(value, hint)
    if hint is Any:  # a class since Python 3.11, and no good for isinstance
        return True
    if origin in UNIONS:
        return any(fits(value, option) for option in arguments)
    part, bound = (value.part, value.bound) if isinstance(value, Named) else (value, None)
    if origin is Annotated:
        return _in_range(part, arguments[0], hint.__metadata__)
    if origin is Literal:
        return any(type(part) is type(option) and part == option for option in arguments)
    if hint in (None, type(None)):
        return part is None
    if hint in (int, float):
        return _is_number(part, hint)
    if origin is collections.abc.Callable:
        if bound is None and not hasattr(part, "__wrapped__"):
            bound = frozenset()  # of a decorated one, such as gin's, it is not known
        return callable(part) and takes_and_gives(part, arguments, bound)
    if inspect.isclass(origin) and not issubclass(origin, type):
        return _fits_container(part, origin, arguments)
    if is_protocol(hint):
        wanted = methods(hint) | set(getattr(hint, "__annotations__", {}))
        return all(hasattr(part, name) for name in wanted) and may_fit(Made(type(part)), hint)
    return not inspect.isclass(hint) or isinstance(part, hint)


def _is_number(value: Any, kind: type, infinite: bool = False) -> bool:
    wanted = numbers.Integral if kind is int else numbers.Real
    if isinstance(value, bool) or not isinstance(value, wanted):
        return False
    if kind is int:
        return True
    try:
        return math.isfinite(value) or (infinite and not math.isnan(value))
    except OverflowError:  # an integer that no float can hold
        return False


def _in_range(value: Any, base: Any, conditions: tuple[Any, ...]) -> bool:
    infinite = any(isinstance(condition, MayBeInfinite) for condition in conditions)
    if not (_is_number(value, base, infinite) if base in (int, float) else fits(value, base)):
        return False
    return all(_holds(value, condition) for condition in conditions)


def _holds(value: Any, condition: Any) -> bool:
    if isinstance(condition, Gt):
        return value > condition.gt
    if isinstance(condition, Ge):
        return value >= condition.ge
    if isinstance(condition, Lt):
        return value < condition.lt
    if isinstance(condition, Le):
        return value <= condition.le
    return not isinstance(condition, Rule) or condition.holds(value)


def _fits_container(value: Any, origin: type, arguments: tuple[Any, ...]) -> bool:
    if origin is tuple:  # gin's lists will do
        if not isinstance(value, (tuple, list)):
            return False
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return all(fits(item, arguments[0]) for item in value)
        return len(value) == len(arguments) and all(map(fits, value, arguments))
    if isinstance(value, (str, bytes)) or not isinstance(value, origin):
        return False
    if isinstance(value, Mapping) and len(arguments) == 2:
        keys, values = arguments
        return all(fits(k, keys) and fits(v, values) for k, v in value.items())
    if isinstance(value, (tuple, list, set, frozenset)) and len(arguments) == 1:
        return all(fits(item, arguments[0]) for item in value)
    return True


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:60]} ..."
