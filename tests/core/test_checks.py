"""What fits an annotation, and what does not: types, ranges, callables, protocols."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from mppi_zoo.core.checks import check, fits
from mppi_zoo.core.expectation import expectation
from mppi_zoo.core.kinds import Made, Named
from mppi_zoo.core.ranges import (
    Bounds,
    Extended,
    NonNegative,
    Positive,
    PositiveInt,
    PositiveShare,
    Probability,
    Share,
)


class Shape:
    pass


class Round(Shape):
    pass


class Scorer(Protocol):
    name: str

    def score(self, x: Tensor) -> Tensor: ...


class Length:
    name = "length"

    def score(self, x: Tensor) -> Tensor:
        return x.norm()


class Overlap:
    name = "overlap"

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        return x @ y


def measure(x: Tensor) -> Tensor:
    return x


def compare(x: Tensor, y: Tensor) -> Tensor:
    return x - y


def name_of(x: Shape) -> str:
    return repr(x)


def make_shape() -> Shape:
    return Round()


Measure = Callable[[Tensor], Tensor]
MakesRound = Callable[..., Round]


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (int, [0, -3, np.int64(4)], [1.5, 24.0, True, None, "3", math.nan]),
        (float, [1, 1.5, -2, np.float32(0.5)], [True, None, "1", math.nan, math.inf, 10**400]),
        (bool, [True, False], [0, 1, None, "True"]),
        (str, ["a"], [3, None, b"a"]),
        (int | None, [None, 3], [1.5, True]),
        (PositiveInt, [1, 7], [0, -1, 1.0, True, 10**30]),
        (Positive, [1e-9, 3], [0, -1, math.inf]),
        (NonNegative, [0, 0.0, 1e300], [-1e-9, math.inf, math.nan]),
        (Extended, [0, math.inf], [-math.inf, math.nan, -1]),
        (Share, [0, 0.999], [1, -0.1]),
        (Probability, [0, 1], [1.1, -0.1]),
        (PositiveShare, [1, 0.1], [0, 1.1]),
        (Bounds, [(-1, 2), [0.0, 0.0]], [(2, -1), (1,), (1, 2, 3), ("a", "b"), 3, None]),
        (Bounds | None, [None, (0, 1)], [(1, 0)]),
        (Literal["a", 1], ["a", 1], ["b", True, 1.0]),
        (tuple[float, ...], [(), (1, 2.5)], [(1, "a"), 3]),
        (Sequence[int], [[1, 2], (3,)], ["12", [1.5], 3]),
        (Mapping[str, float], [{}, {"a": 1}], [{"a": "b"}, {1: 1.0}, [("a", 1)]]),
        (Shape, [Shape(), Round()], [Shape, None, 3]),
        (torch.dtype, [torch.float32], ["float32"]),
        (torch.device | str, [torch.device("cpu"), "cpu"], [0]),
        (Any, [None, 3, Shape], []),
        (Measure, [measure, lambda x: x, torch.abs, nn.Identity()], [compare, name_of, Shape, 3]),
        (MakesRound, [Round, make_shape, lambda: 3], [Shape, measure, "Round", None]),
        (Callable[[int], None], [print, lambda x: x], [lambda: 3, None]),
        (Scorer, [Length()], [Overlap(), Shape(), None]),
        (Sequence[Scorer], [[Length()], ()], [[Overlap()], Length()]),
    ],
)
def test_what_fits(hint: Any, good: list[Any], bad: list[Any]) -> None:
    assert [value for value in good if not fits(value, hint)] == []
    assert [value for value in bad if fits(value, hint)] == []


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (Shape, [Made(Shape), Made(Round), Made(None)], [Made(Length), Named(Shape)]),
        (Round, [Made(Shape, exact=False)], [Made(Shape)]),
        (float | Shape, [Made(Round), Made(int)], [Made(str)]),
        (MakesRound, [Named(Round), Named(make_shape)], [Named(Shape), Made(Shape)]),
        (Measure, [Named(measure), Named(compare, frozenset({"y"}))], [Named(compare)]),
        (Scorer, [Made(Length)], [Made(Overlap), Made(Shape)]),
        (list[Shape], [[Made(Round)]], [[Made(Length)]]),
    ],
)
def test_what_parts_that_do_not_exist_yet_may_fit(
    hint: Any, good: list[Any], bad: list[Any]
) -> None:
    assert [value for value in good if not fits(value, hint)] == []
    assert [value for value in bad if fits(value, hint)] == []


def test_what_a_decorator_supplies_is_not_asked_for() -> None:
    @functools.wraps(compare)
    def wrapped(*args: Any, **kwargs: Any) -> Tensor:
        return compare(*args, y=torch.ones(()), **kwargs)

    assert fits(wrapped, Measure)


@given(value=st.floats() | st.integers() | st.booleans() | st.none() | st.text(max_size=3))
def test_a_number_fits_a_range_exactly_within_it(value: Any) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    assert fits(value, Share) == (number and 0 <= value < 1)
    assert fits(value, PositiveInt) == (isinstance(value, int) and number and 1 <= value <= 2**53)


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (NonNegative, "a number of at least 0"),
        (Positive, "a number above 0"),
        (Share, r"a number in \[0, 1\)"),
        (PositiveInt | None, r"an integer in \[1, 2\*\*53\] or None"),
        (Bounds, "2 values, each a finite number, in ascending order"),
        (Measure, r"a class or function of \(Tensor\) that gives Tensor"),
        (Sequence[Scorer], "a list of which each is a Scorer"),
        (Mapping[str, float], "a mapping of text to a finite number"),
        (Shape | None, "a Shape or None"),
        (Literal["a", 1], "'a' or 1"),
    ],
)
def test_a_refusal_names_parameter_value_and_expectation(hint: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"^Part.x = -1.5: expected {words}$"):
        check("Part.x", -1.5, hint)
    assert expectation(hint)


def test_a_long_value_is_cut() -> None:
    with pytest.raises(ValueError, match=r"= \[0, 1, .* \.\.\.: expected an integer"):
        check("Part.x", list(range(1000)), int)
