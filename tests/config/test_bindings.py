"""A gin text as names and values."""

from __future__ import annotations

import gin
import pytest

from mppi_zoo.config import gin_config
from mppi_zoo.config.bindings import read_bindings
from mppi_zoo.core.types import EnvSpec

TEXT = """
# A comment, with an = in it
steps = 100  # agent steps
task = 'my_module:Env#2'

Wide.value = \\
    {'a': (1.0, 2.0),
     'b': [3, 4]}
Part.other = @Chosen()
Part.size = %steps
"""


def test_names_and_values() -> None:
    assert read_bindings(TEXT) == {
        "steps": "100",
        "task": "'my_module:Env#2'",
        "Wide.value": "{'a': (1.0, 2.0), 'b': [3, 4]}",
        "Part.other": "@Chosen()",
        "Part.size": "%steps",
    }


def test_later_bindings_win() -> None:
    assert read_bindings("a = 1\na = 2") == {"a": "2"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nnonsense\n", "line 2 is 'nonsense', expected NAME = VALUE"),
        ("include 'base.gin'\n", "line 1 is"),
        ("a = 1\n\nb =\n", "line 3 is 'b ='"),
        ("KLObjective.lam = (1,", "ends within a value"),
        ("a = '''open\n", "ends within a value"),
    ],
)
def test_other_lines_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_bindings(text)


def test_imports_are_no_bindings() -> None:
    text = "import my_parts\nfrom my import parts\nfrom_here = 1\nMyPart.size = 2\n"
    assert read_bindings(text) == {"from_here": "1", "MyPart.size": "2"}


def test_values_are_those_that_gin_reads() -> None:
    gin_config.parse(["pompc_adaptive_fkl", "debug"]).agent(EnvSpec(3, 2, 20))
    bindings = read_bindings(gin_config.operative_config())
    names = [name for name, value in bindings.items() if "." in name and value[0] not in "@%"]
    assert {"KLObjective.lam", "ClippedGaussian.log_std_bounds"} <= set(names)
    text = "".join(f"{name} = {bindings[name]}\n" for name in names)
    again = gin_config.operative_config()
    gin.parse_config(text)
    assert gin_config.operative_config() == again
