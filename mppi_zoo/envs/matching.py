"""Error messages for names that do not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
        # Compared without case, as a wrong capital is the most frequent mistake.
        folded = {n.lower(): n for n in names}
        near = [folded[n] for n in difflib.get_close_matches(name.lower(), folded, 5, 0.4)]
        nearest = f"nearest of the {len(names)}: {', '.join(near)}"
        hint = nearest if near else f"{len(names)} exist, such as {', '.join(names[:5])}"
    return ValueError(f"unknown {kind} {name!r}; {hint}")
