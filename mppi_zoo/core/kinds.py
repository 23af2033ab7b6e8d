"""What is known of a part before it is called: the class of what it gives, the arguments it takes.

All here answers "it may fit" where nothing is declared: a lambda, a function without annotations,
one that is written in C.
"""

from __future__ import annotations

import collections.abc
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

UNIONS = (typing.Union, types.UnionType)


@dataclass(frozen=True)
class Made:
    """Stands for an object that does not exist yet.

    Attributes:
        kind: its class, as far as it is known; None where it is not.
        exact: whether it is of that class itself; else perhaps of one below.
    """

    kind: type | None
    exact: bool = True


@dataclass(frozen=True)
class Named:
    """Stands for a part that a configuration names without calling it.

    Attributes:
        part: the class or function.
        bound: parameters that the configuration gives it.
    """

    part: Callable[..., Any]
    bound: frozenset[str] = frozenset()


@functools.cache
def declared(function: Callable[..., Any]) -> Mapping[str, Any]:
    """Annotation of each parameter, and of "return"; Any where it names what cannot be found."""
    function = inspect.unwrap(function)
    found: dict[str, Any] = {}
    for name, annotation in getattr(function, "__annotations__", {}).items():
        alone = types.SimpleNamespace(__annotations__={name: annotation})
        names = getattr(function, "__globals__", {})
        try:
            found |= typing.get_type_hints(alone, names, include_extras=True)
        except (NameError, AttributeError, TypeError):  # imported for type checkers alone
            found[name] = Any
    return found


def constructor(part: Callable[..., Any]) -> Callable[..., Any]:
    """The function whose parameters ``part``, a class or a function, takes."""
    return part.__init__ if inspect.isclass(part) else part


def made_by(part: Callable[..., Any]) -> Made:
    """What calling ``part`` gives."""
    part = _function(part)
    if inspect.isclass(part):
        return Made(part)
    hint = declared(part).get("return")
    return Made(hint if inspect.isclass(hint) and not is_protocol(hint) else None, exact=False)


def may_fit(made: Made, hint: Any) -> bool:
    """Whether such an object can fit an annotation."""
    kind, origin, arguments = made.kind, typing.get_origin(hint), typing.get_args(hint)
    if kind is None or Any in (kind, hint):
        return True
    if origin is Annotated:
        return may_fit(made, arguments[0])
    if origin in UNIONS:
        return any(may_fit(made, option) for option in arguments)
    if origin is collections.abc.Callable:
        call = _method(kind, "__call__")
        return call is not None and takes_and_gives(call, arguments, frozenset(), own=1)
    if is_protocol(hint):
        return all(_has_method(kind, hint, name) for name in methods(hint))
    wanted = type(None) if hint is None else origin or hint
    if not inspect.isclass(wanted) or (wanted is float and kind is int):
        return True
    return issubclass(kind, wanted) or (not made.exact and issubclass(wanted, kind))


def takes_and_gives(
    part: Callable[..., Any],
    arguments: tuple[Any, ...],
    bound: frozenset[str] | None,
    own: int = 0,
) -> bool:
    """Whether a callable may be one of an annotation ``Callable[[...], ...]``.

    Args:
        arguments: of the annotation.
        bound, own: as for :func:`takes`.
    """
    if not arguments:
        return True
    inputs, gives = arguments
    if gives not in (None, type(None)) and not may_fit(made_by(part), gives):
        return False
    return takes(part, inputs if isinstance(inputs, list) else None, own, bound)


def takes(
    part: Callable[..., Any],
    inputs: list[Any] | None,
    own: int = 0,
    bound: frozenset[str] | None = frozenset(),
) -> bool:
    """Whether a callable can be called with these positional arguments.

    Args:
        inputs: their annotations; None for any number.
        own: parameters to leave out at the front: 1 for the ``self`` of a method.
        bound: parameters that it gets besides; None if that is not known.
    """
    try:
        parameters = [*inspect.signature(part).parameters.values()][own:]
    except (TypeError, ValueError):  # written in C
        return True
    if inputs is None or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return True
    slots = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    lacking = {p.name for p in slots[len(inputs) :] if p.default is p.empty}
    if len(slots) < len(inputs) or (bound is not None and lacking - bound):
        return False
    function = _function(part)
    hints = {} if inspect.isclass(function) else declared(function)  # a class checks them itself
    return all(
        given is Any
        or not inspect.isclass(given)
        or may_fit(Made(given, exact=False), hints.get(slot.name, Any))
        for given, slot in zip(inputs, slots, strict=False)
    )


def is_protocol(hint: Any) -> bool:
    """Whether a class is a protocol, and not one that follows it."""
    return inspect.isclass(hint) and bool(getattr(hint, "_is_protocol", False))


def methods(protocol: type) -> set[str]:
    """Names of the methods that a protocol asks for."""
    return {
        name
        for base in protocol.__mro__
        if is_protocol(base) and base is not typing.Protocol
        for name, value in vars(base).items()
        if callable(value) and (name == "__call__" or not name.startswith("_"))
    }


def _has_method(kind: type, protocol: type, name: str) -> bool:
    found = _method(kind, name)
    if found is None:
        return False
    asked = getattr(protocol, name)
    parameters = list(inspect.signature(asked).parameters)[1:]
    return takes(found, [declared(asked).get(one, Any) for one in parameters], own=1)


def _method(kind: type, name: str) -> Any:
    """A method of the instances; of the class itself "__call__" is its metaclass's."""
    found = next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)
    if name == "__call__" and _is_modules(found):  # torch's modules are called by "forward"
        return None if _is_modules(_method(kind, "forward")) else _method(kind, "forward")
    return found


def _is_modules(method: Any) -> bool:
    """Whether it is a method of ``nn.Module``, said without importing torch."""
    return getattr(method, "__module__", None) == "torch.nn.modules.module"


def _function(part: Callable[..., Any]) -> Any:
    """What has the annotations: a class, a function, or the method by which an object is called."""
    while isinstance(part, functools.partial):
        part = part.func
    return (
        part if inspect.isclass(part) or hasattr(part, "__annotations__") else type(part).__call__
    )
