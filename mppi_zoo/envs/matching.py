"""Error messages for names that do not exist."""

from __future__ import annotations

from collections.abc import Iterable

from mppi_zoo.core.nearest import nearest


def unknown_name(kind: str, name: str, known: Iterable[str]) -> ValueError:
    """A ValueError that lists the most similar known names, or all if there are few.

    Args:
        kind: what the name is a name of, such as "dmc task".
        name: what was asked for.
        known: every valid name.
    """
    names = sorted(known)
    if len(names) <= 8:
        hint = f"expected one of {', '.join(names)}"
    else:
        near = nearest(name, names, cutoff=0.4, most=5)
        told = f"nearest of the {len(names)}: {', '.join(near)}"
        hint = told if near else f"{len(names)} exist, such as {', '.join(names[:5])}"
    return ValueError(f"unknown {kind} {name!r}; {hint}")
