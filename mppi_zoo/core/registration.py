"""``@register``: makes a class or function a part that configurations can name, and checks it.

``@checked``: only the check, for records that are no parts.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import gin

from mppi_zoo.core.checks import check
from mppi_zoo.core.kinds import declared

VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
Part = TypeVar("Part", bound=Callable[..., Any])


def register(part: Part) -> Part:
    """Register a part with gin; a class is :func:`checked` too.

    A function is called in the middle of an update and so stays as it is: what a configuration
    binds of its parameters is checked when the configuration is read.
    """
    known: Any = part
    if inspect.isclass(known):
        checked(known)
    gin.register(known)
    return part


def checked(kind: Part) -> Part:
    """Let a class check its arguments at construction.

    What an argument must be is its annotation, see :mod:`mppi_zoo.core.ranges`; whatever hangs
    together with other arguments a constructor checks itself.

    The constructor raises ValueError, as in ``MPPIPlanner.temperature = -1: expected a number of at
    least 0``.
    """
    known: Any = kind
    construct = known.__init__
    if construct is object.__init__:  # which takes no arguments
        return kind
    signature = inspect.signature(construct)

    @functools.wraps(construct)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        hints = declared(construct)  # here, where all names that they use are defined
        try:
            arguments = signature.bind(self, *args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{kind.__name__}: {error}") from None
        for name, value in arguments.items():
            if name in hints and signature.parameters[name].kind not in VARIABLE:
                check(f"{kind.__name__}.{name}", value, hints[name])
        construct(self, *args, **kwargs)

    __init__.__signature__ = signature  # pyright: ignore  (gin looks no further than this)
    known.__init__ = __init__
    return kind
