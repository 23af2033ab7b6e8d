"""Observations that no agent may act on are refused, with the name of the bad entry."""

from __future__ import annotations

from typing import Any

import numpy as np

# A simulation with such a coordinate has diverged: MuJoCo's own bound (mjMAXVAL in mjmodel.h).
ABSURD = 1e10


class UnusableObservation(ValueError):
    """An observation that no action may be chosen from.

    Attributes:
        index: of the first bad entry of the flat observation; None if all of it is unusable.
    """

    def __init__(self, message: str, index: int | None = None):
        super().__init__(message)
        self.index = index


def flatten(obs: Any, size: int) -> np.ndarray:
    """The observation as numbers [O] float64.

    Args:
        size: O.

    Raises:
        UnusableObservation: it is not made of O real numbers.
    """
    try:
        flat = np.asarray(obs).astype(np.float64, casting="same_kind").reshape(-1)
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(obs).__name__
        raise UnusableObservation(
            f"the observation is a {kind} that is not made of numbers ({error}); expected an "
            f"array of {size} numbers"
        ) from error
    if flat.size != size:
        raise UnusableObservation(
            f"the observation has {flat.size} numbers, the agent was trained on {size}: flatten it "
            "as mppi_zoo.envs.make does"
        )
    return flat


def refuse_unusable(obs: np.ndarray) -> None:
    """Check an observation [O].

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
    raise UnusableObservation(
        f"observation[{index}] = {obs[index]:g}{others}: expected finite numbers of at most "
        f"{ABSURD:g} in magnitude; no action is chosen from such an observation",
        index,
    )
