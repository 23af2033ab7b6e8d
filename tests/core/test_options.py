"""Numbers on a command line."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from mppi_zoo.core.options import number
from mppi_zoo.core.ranges import Environments, NonNegative


@pytest.mark.parametrize(
    ("hint", "text", "value"), [(Environments, "3", 3), (NonNegative, "0.5", 0.5), (int, "-7", -7)]
)
def test_numbers_are_read(hint: Any, text: str, value: float) -> None:
    assert number(hint)(text) == value


@pytest.mark.parametrize(
    ("hint", "text", "message"),
    [
        (Environments, "0", r"'0': expected an integer in \[1, 1024\]"),
        (Environments, "1.5", "'1.5': expected an integer in"),
        (Environments, "many", "'many': expected an integer in"),
        (NonNegative, "-1", "'-1': expected a number of at least 0"),
        (NonNegative, "nan", "expected a number of at least 0"),
        (float, "inf", "expected a finite number"),
    ],
)
def test_others_are_refused(hint: Any, text: str, message: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        number(hint)(text)
