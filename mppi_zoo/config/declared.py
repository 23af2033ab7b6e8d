"""What a configuration binds, checked against what the parts declare, before any is built.

Parts check their arguments when they are constructed (:mod:`mppi_zoo.core.registration`). Here the
same is asked of all bindings at once, also of functions and of parts that are built much later, so
that a wrong value is refused where the configuration is read: by ``--show``, by a study's
``--dry-run``, and before a run has a folder.
"""

from __future__ import annotations

import inspect
from typing import Any

from gin import config as gin_config

from mppi_zoo.core.checks import check, fits
from mppi_zoo.core.kinds import Made, Named, constructor, declared, made_by

MACRO, CONSTANT = "gin.macro", "gin.constant"


def check_bindings() -> None:
    """Check all bindings that gin has now.

    Raises:
        ValueError: naming a parameter, its value, and what is expected; or a macro that refers to
            itself.
    """
    for (_, selector), bindings in gin_config._CONFIG.items():
        if selector in gin_config._REGISTRY and selector != MACRO:
            part = gin_config._REGISTRY[selector]
            hints = declared(constructor(part.wrapped))
            for parameter, value in bindings.items():
                if parameter in hints:
                    _check(f"{part.name}.{parameter}", value, hints[parameter])


def _check(name: str, value: Any, hint: Any) -> None:
    described, macros = _described(value), []
    while _is_reference(value, MACRO):
        macros.append("/".join(value.scopes))
        value = _macro(macros[-1])
    text = f"{value!r}, which is %{macros[-1]}" if macros else ""
    try:
        check(name, described, hint, text or repr(value))
    except ValueError as error:
        fitting = fitting_parts(hint)
        hint_text = f", such as {', '.join(fitting)}" if fitting else ""
        raise ValueError(f"{error}{hint_text}") from None


def fitting_parts(hint: Any) -> list[str]:
    """References to the registered parts that a parameter may be, such as ``@MPPIPlanner()``."""
    found = []
    for _, part in gin_config._REGISTRY.items():
        if part.module.startswith("gin"):
            continue
        made = made_by(part.wrapped)
        if fits(Named(part.wrapped), hint):
            found.append(f"@{part.name}")
        elif made.exact and fits(made, hint):
            found.append(f"@{part.name}()")
    return sorted(found)


def _described(value: Any, inside: tuple[str, ...] = ()) -> Any:
    """The value with stand-ins for the parts that it names; macros replaced by their values."""
    if isinstance(value, (list, tuple)):
        return type(value)(_described(item, inside) for item in value)
    if isinstance(value, dict):
        return {_described(k, inside): _described(v, inside) for k, v in value.items()}
    if not isinstance(value, gin_config.ConfigurableReference):
        return value
    if _is_reference(value, MACRO):
        name = "/".join(value.scopes)
        if name in inside:
            raise ValueError(
                f"the macro {name} refers to itself: {name} = {value}; give it a value"
            )
        return _described(_macro(name), (*inside, name))
    if _is_reference(value, CONSTANT):
        return Made(None)
    scope, selector = value.config_key
    part = gin_config._REGISTRY[selector].wrapped
    bound = {n for one in ("", scope) for n in gin_config._CONFIG.get((one, selector), {})}
    if not value.evaluate:
        return Named(part, frozenset(bound))
    lacking = [name for name in _required(part) if name not in bound]
    if lacking:
        names = ", ".join(f"{value.selector}.{name}" for name in lacking)
        raise ValueError(f"{value} lacks {names}: give each a value")
    return made_by(part)


def _required(part: Any) -> list[str]:
    """Parameters without a default."""
    if constructor(part) is object.__init__:
        return []
    parameters = inspect.signature(part).parameters.values()
    open_ended = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in open_ended]


def _is_reference(value: Any, selector: str) -> bool:
    reference = isinstance(value, gin_config.ConfigurableReference)
    return reference and value.config_key[1] == selector


def _macro(name: str) -> Any:
    bound = gin_config._CONFIG.get((name, MACRO), {})
    if "value" not in bound:
        raise ValueError(f"%{name}: no macro {name} is set; give it a value: {name} = ...")
    return bound["value"]
