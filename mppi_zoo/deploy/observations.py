"""Observations as a program has them: taken by name or flat, refused with the bad entry's name."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mppi_zoo.core.types import ObsEntry, ObsSpec

# A simulation with such a coordinate has diverged: MuJoCo's own bound (mjMAXVAL in mjmodel.h).
ABSURD = 1e10


class UnusableObservation(ValueError):
    """An observation that no action may be chosen from.

    Attributes:
        index: of the first bad number of the flat observation; None if all of it is unusable.
        entry: key of the entry that it belongs to; None if that is not known.
    """

    def __init__(self, message: str, index: int | None = None, entry: str | None = None):
        super().__init__(message)
        self.index, self.entry = index, entry


def flatten(obs: Any, spec: ObsSpec) -> np.ndarray:
    """The observation as numbers [O] float64, in the order in which the agent was trained.

    Args:
        obs: the flat vector, or what the environment observes: a dictionary of entries, a tuple,
            both within one another. Entries that the agent does not know are left out.
        spec: of the agent's observations.

    Raises:
        UnusableObservation: an entry is missing, or is not made of as many real numbers.
    """
    by_position = all(entry.key.split("/")[0].isdecimal() for entry in spec.entries)
    if isinstance(obs, Mapping) or (isinstance(obs, tuple) and by_position):
        return _by_name(obs, spec)
    flat = _numbers(obs, "the observation")
    if flat.size != spec.size:
        raise UnusableObservation(
            f"the observation has {flat.size} numbers, the agent was trained on {spec.size}: "
            f"{described(spec)}"
        )
    return flat


def described(spec: ObsSpec) -> str:
    """The entries with their shapes, in their order."""
    entries = [f"{entry.key} {list(entry.shape)}" for entry in spec.entries]
    shown = entries if len(entries) <= 12 else [*entries[:12], f"{len(entries) - 12} more"]
    return ", ".join(shown)


def _by_name(obs: Any, spec: ObsSpec) -> np.ndarray:
    keys = {entry.key for entry in spec.entries}
    found = dict(_leaves(obs, "", keys))
    parts = []
    for entry in spec.entries:
        if entry.key not in found:
            near = difflib.get_close_matches(entry.key, found, 3)
            hint = f"; did you mean it by {', '.join(near)}" if near else ""
            raise UnusableObservation(
                f"the observation has no entry {entry.key!r}{hint}; expected {described(spec)}",
                entry=entry.key,
            )
        parts.append(_coded(found[entry.key], entry))
    return np.concatenate(parts)


def _leaves(obs: Any, path: str, keys: set[str]) -> Iterator[tuple[str, Any]]:
    """(path, value) of what is named in ``keys``, and of what has no parts."""
    inner: Any = ()
    if isinstance(obs, Mapping):
        inner = obs.items()
    elif isinstance(obs, tuple):
        inner = enumerate(obs)
    if path in keys or not inner:
        yield path, obs
        return
    for key, value in inner:
        yield from _leaves(value, f"{path}/{key}" if path else str(key), keys)


def _coded(value: Any, entry: ObsEntry) -> np.ndarray:
    """An entry's numbers, one-hot where it was trained so."""
    flat = _numbers(value, f"observation[{entry.key!r}]", entry.key)
    if entry.choices and flat.size == len(entry.choices):
        codes = []
        for number, first, count in zip(flat, entry.first, entry.choices, strict=True):
            if number not in range(first, first + count):
                raise UnusableObservation(
                    f"observation[{entry.key!r}] = {number:g}: expected a whole number from "
                    f"{first} to {first + count - 1}",
                    entry=entry.key,
                )
            codes.append(np.arange(first, first + count) == number)
        return np.concatenate(codes).astype(np.float64)
    if flat.size != entry.size:
        raise UnusableObservation(
            f"observation[{entry.key!r}] has {flat.size} numbers; expected {entry.size}, of shape "
            f"{list(entry.shape)}",
            entry=entry.key,
        )
    return flat


def _numbers(value: Any, name: str, entry: str | None = None) -> np.ndarray:
    try:
        return np.asarray(value).astype(np.float64, casting="same_kind").reshape(-1)
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(value).__name__
        raise UnusableObservation(
            f"{name} is a {kind} that is not made of numbers ({error})", entry=entry
        ) from error


def refuse_unusable(obs: np.ndarray, spec: ObsSpec | None = None) -> None:
    """Check an observation [O].

    Args:
        spec: of its entries, for the name of the bad one.

    Raises:
        UnusableObservation: an entry is NaN, infinite, or beyond :data:`ABSURD` in magnitude; names
            the first.
    """
    good = np.abs(obs) <= ABSURD  # False for NaN
    if good.all():
        return
    index = int(np.flatnonzero(~good)[0])
    more = int((~good).sum()) - 1
    others = f", and {more} other{'s' if more > 1 else ''}" if more else ""
    name, entry = _named(index, spec)
    raise UnusableObservation(
        f"{name} = {obs[index]:g}{others}: expected finite numbers of at most "
        f"{ABSURD:g} in magnitude; no action is chosen from such an observation",
        index,
        entry,
    )


def _named(index: int, spec: ObsSpec | None) -> tuple[str, str | None]:
    """What to call a number of the flat observation, and the key of its entry."""
    if spec is None or len(spec.entries) == 1:
        return f"observation[{index}]", None if spec is None else spec.entries[0].key
    begin = 0
    for entry in spec.entries:
        if index < begin + entry.size:
            place = np.unravel_index(index - begin, entry.shape)
            inside = "".join(f"[{int(i)}]" for i in place)
            return f"observation[{entry.key!r}]{inside}", entry.key
        begin += entry.size
    return f"observation[{index}]", None
