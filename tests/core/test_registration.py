"""A registered part checks its arguments from its annotations, for free."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gin
import pytest

from mppi_zoo.core.ranges import Positive, PositiveInt
from mppi_zoo.core.registration import register


@pytest.fixture(autouse=True)
def _unbound() -> Iterator[None]:
    yield
    gin.clear_config()


@register
class Lamp:
    """A part with a range."""

    def __init__(self, watts: Positive, colour: str = "white", *others: int, **more: Any):
        self.watts, self.colour, self.others, self.more = watts, colour, others, more


@register
class Torch(Lamp):
    """One without a constructor of its own."""


@register
@dataclass(frozen=True)
class Box:
    """A dataclass."""

    count: PositiveInt = 1
    inside: Lamp | None = None


def test_arguments_are_checked_by_position_and_by_name() -> None:
    assert (Lamp(3).watts, Lamp(watts=0.5).colour) == (3, "white")
    for build in (lambda: Lamp(-1), lambda: Lamp(watts=-1)):
        with pytest.raises(ValueError, match=r"Lamp\.watts = -1: expected a number above 0"):
            build()
    with pytest.raises(ValueError, match=r"Lamp\.colour = 3: expected text"):
        Lamp(1, 3)  # pyright: ignore
    assert Lamp(1, "red", 2, 3, x=4).others == (2, 3)


def test_an_inherited_constructor_is_checked_in_the_name_of_the_part() -> None:
    with pytest.raises(ValueError, match=r"^Torch\.watts = 0"):
        Torch(0)
    assert isinstance(Torch(1), Lamp)


def test_a_dataclass_is_checked() -> None:
    assert Box(2, Lamp(1)).count == 2
    with pytest.raises(ValueError, match=r"Box\.count = 2\.0: expected an integer"):
        Box(2.0)  # pyright: ignore
    with pytest.raises(ValueError, match=r"Box\.inside = 'lamp': expected a Lamp or None"):
        Box(1, "lamp")  # pyright: ignore


def test_missing_arguments_are_named_with_the_part() -> None:
    with pytest.raises(TypeError, match="Lamp: missing a required argument: 'watts'"):
        Lamp()  # pyright: ignore


def test_gin_and_inspect_see_through_the_check() -> None:
    assert list(inspect.signature(Lamp).parameters) == ["watts", "colour", "others", "more"]
    assert Lamp.__init__.__qualname__ == "Lamp.__init__"
    gin.parse_config("Box.count = 3\nBox.inside = @Lamp()\nLamp.watts = 2")
    box = gin.get_configurable(Box)()
    assert type(box) is Box and (box.count, box.inside.watts) == (3, 2)  # pyright: ignore
    assert "Lamp.colour = 'white'" in gin.operative_config_str()
    with pytest.raises(ValueError, match="doesn't have a parameter named 'size'"):
        gin.parse_config("Box.size = 3")


def test_a_function_stays_as_it_is() -> None:
    def bright(lamp: Lamp, least: Positive = 1.0) -> bool:
        return lamp.watts > least

    assert register(bright) is bright
