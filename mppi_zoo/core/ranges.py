"""Ranges of numbers, declared once: the types that parameters of parts are annotated with.

An annotation is the whole declaration. :func:`mppi_zoo.core.registration.register` refuses a value
outside it when a part is constructed, and :mod:`mppi_zoo.config.declared` when a configuration is
read. ``float`` alone means a finite number, ``int`` an integer, which True and 24.0 are not.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, Lt


@dataclass(frozen=True)
class Rule:
    """A condition on a value of the right type that no limit expresses.

    Attributes:
        text: of the expectation, such as "in ascending order".
        holds: whether a value meets it.
    """

    text: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True)
class MayBeInfinite:
    """Marks a number that may be ``inf`` or ``-inf``; nan never fits."""


def _ascends(values: Any) -> bool:
    return all(low <= high for low, high in itertools.pairwise(values))


# Integers. The upper limits are far above any use; they keep a slip of the finger, such as
# samples=51200000000, from asking the machine for terabytes.
PositiveInt = Annotated[int, Ge(1), Le(2**53)]  # a number of steps, or an interval of them
Count = Annotated[int, Ge(0), Le(2**53)]  # the same, where 0 means never
Size = Annotated[int, Ge(1), Le(2**20)]  # entries of a tensor's axis: widths, samples, a batch
SizeOrNone = Annotated[int, Ge(0), Le(2**20)]  # the same, where 0 leaves something out
Layers = Annotated[int, Ge(1), Le(1000)]
Seed = Annotated[int, Ge(0), Lt(2**63)]
Environments = Annotated[int, Ge(1), Le(1024)]  # held at once, by one process or by as many
Threads = Annotated[int, Ge(1), Le(1024)]

# Numbers
Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Extended = Annotated[float, Ge(0), MayBeInfinite()]  # in [0, inf]
Share = Annotated[float, Ge(0), Lt(1)]
Probability = Annotated[float, Ge(0), Le(1)]
PositiveShare = Annotated[float, Gt(0), Le(1)]  # a rate of averaging, a temporal weight

# Pairs
Bounds = Annotated[tuple[float, float], Rule("in ascending order", _ascends)]
