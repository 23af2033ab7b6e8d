"""What is no gin, and what is no module: refused with the file or binding that is to blame."""

from __future__ import annotations

from pathlib import Path

import pytest
from gin import config as gin_config

from mppi_zoo.config.gin_config import parse


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a = (\n", "mine.gin cannot be read: .*brackets closed"),
        ("a = 'open\n", "mine.gin cannot be read"),
        ("include 'mine.gin'\n", "mine.gin: it includes itself"),
        # Python's own parser refuses it, or, from 3.12 on, its tokenizer
        ("a = " + "[" * 3000 + "]" * 3000, "mine.gin: it includes itself, or a v|too many nested"),
        ("hello, world\n", "mine.gin cannot be read"),
        ("\udcff\n", "mine.gin cannot be read: .*utf-8"),
        ("horizon = %horizon\n", "macro horizon refers to itself"),
        ("a = %b\nb = [%a]\nMPPIPlanner.horizon = %a\n", "macro a refers to itself"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "mine.gin"
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ValueError, match=message):
        parse(["tdmpc2_equiv", str(path)])


@pytest.mark.parametrize(
    "binding",
    ["KLObjective.lam='a", "KLObjective.lam=(1", "KLObjective.lam", "=", "lam = 2**3"],
)
def test_a_binding_that_cannot_be_read_is_quoted(binding: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse(["tdmpc2_equiv"], [binding])
    assert f"{binding!r} cannot be read" in str(refused.value)


@pytest.mark.parametrize("module", ["../x", "", ".x", "a b", "my-parts", "x.py/y"])
def test_a_module_is_named_and_no_path(module: str) -> None:
    with pytest.raises(ValueError, match="expected the name of a module"):
        parse(["tdmpc2_equiv"], imports=[module])


def test_a_file_read_before_leaves_no_place_to_look_in(tmp_path: Path) -> None:
    """Else an include would find the file of an earlier configuration in the same process."""
    before = list(gin_config._LOCATION_PREFIXES)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sizes.gin").write_text(f"task = {name!r}\n")
        (tmp_path / name / "mine.gin").write_text(
            "include 'tdmpc2_equiv.gin'\ninclude 'sizes.gin'\n"
        )
        assert parse([str(tmp_path / name / "mine.gin")]).task == name
    assert before == gin_config._LOCATION_PREFIXES
