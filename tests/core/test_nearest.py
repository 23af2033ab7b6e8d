"""What an error proposes for a name that does not exist."""

from __future__ import annotations

import pytest

from mppi_zoo.config.gin_config import parse
from mppi_zoo.core.nearest import did_you_mean, nearest

NAMES = ("tdmpc2_equiv", "tdmpc2_icem", "tdmpbc", "base")


def test_names_that_begin_so_come_first() -> None:
    assert nearest("tdmpc2", NAMES) == ["tdmpc2_equiv", "tdmpc2_icem", "tdmpbc"]
    assert nearest("bass", NAMES) == ["base"] and nearest("", NAMES) == []
    assert did_you_mean(["a", "b"]) == " Did you mean a, b?" and did_you_mean([]) == ""


def test_an_unknown_parameter_gets_the_nearest_and_all() -> None:
    with pytest.raises(
        ValueError, match=r"parameters .*divergence.*Did you mean KLObjective.lam\?"
    ):
        parse(["tdmpc2_equiv"], ["KLObjective.lamb=1"])


def test_files_without_a_member_say_so() -> None:
    with pytest.raises(ValueError, match=r"^--gin scale/laptop names no member: .*tdmpc2_equiv"):
        parse(["scale/laptop"])
