"""What tells runs of one member apart."""

from __future__ import annotations

import pytest
from support.run_folders import CONFIG

from mppi_zoo.analysis.configuration import differences, labels, parse_settings


def test_settings_are_parsed() -> None:
    settings = parse_settings(CONFIG.format(lam="2.0", repeat="None"))
    assert settings["TrainingOptions.steps"] == "3000"
    assert settings["KLObjective.lam"] == "2.0"
    assert settings["Wrapped.value"].replace(" ", "") == "[1,2,3]"
    with pytest.raises(ValueError, match="line 1 is 'nonsense'"):
        parse_settings("nonsense\n")


def test_labels_tell_many_differences_apart() -> None:
    many = [{f"A.x{i}": str(v) for i in range(5)} for v in (0, 1, 1)]
    found = labels(["m", "m", "m"], many)
    assert found[0] != found[1] == found[2]
    assert differences([{"a": "1"}, {"a": "1", "b": "2"}]) == {"b": [None, "2"]}
