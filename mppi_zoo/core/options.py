"""Numbers on a command line, with the ranges of :mod:`mppi_zoo.core.ranges`."""

from __future__ import annotations

import argparse
import typing
from collections.abc import Callable
from typing import Any

from mppi_zoo.core.checks import fits
from mppi_zoo.core.expectation import expectation


def number(hint: Any) -> Callable[[str], Any]:
    """For ``add_argument(type=...)``: a number that an annotation declares.

    Args:
        hint: ``int``, ``float`` or one of :mod:`mppi_zoo.core.ranges`.
    """
    base = (typing.get_args(hint) or (hint,))[0]

    def read(text: str) -> Any:
        try:
            value = base(text)
        except ValueError:
            value = text
        if not fits(value, hint):
            raise argparse.ArgumentTypeError(f"{text!r}: expected {expectation(hint)}")
        return value

    return read
