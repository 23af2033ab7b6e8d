"""What the user may have meant, where a name does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6, most: int = 3) -> list[str]:
    """The known names most like this one: those that begin with it first.

    Args:
        name: what was asked for; compared without case, a wrong capital being a frequent mistake.
        known: the names that exist.
        cutoff: likeness that a name must have, in [0, 1].
        most: how many names at most.
    """
    folded: dict[str, str] = {}
    for other in sorted(known):
        folded.setdefault(other.lower(), other)
    asked = name.lower()
    begin = [other for other in folded if asked and other.startswith(asked)]
    like = difflib.get_close_matches(asked, folded, most, cutoff)
    return [folded[other] for other in dict.fromkeys([*begin, *like])][:most]


def did_you_mean(names: Iterable[str]) -> str:
    """The question as a sentence with a space before it; empty if there are no names."""
    listed = ", ".join(names)
    return f" Did you mean {listed}?" if listed else ""
