"""Arguments of Gymnasium's environments, and those that cannot be made."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from mppi_zoo import envs
from mppi_zoo.envs.options import EnvOptions

BROKEN = "gym:support.registering_envs:Broken-v0"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))


def test_arguments_reach_the_environment() -> None:
    env: Any = envs.make("gym:Pendulum-v1", EnvOptions(arguments={"g": 3.5})).unwrapped
    assert env.g == 3.5


@pytest.mark.parametrize(
    ("task", "arguments", "message"),
    [
        (
            "gym:Pendulum-v1",
            {"gg": 1},
            r"with gg=1: TypeError: .*'gg'.*; expected an.*--env-arg NAME",
        ),
        ("gym:Pendulum-v1", {"render_mode": "human"}, r"--env-arg render_mode: this package sets"),
        (BROKEN, {}, r"could not be made: AttributeError: no such field; .*docs/environments.md"),
    ],
)
def test_what_cannot_be_made_is_refused(task: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        envs.make(task, EnvOptions(arguments=arguments))
    assert "support.registering_envs" in sys.modules or task != BROKEN


def test_a_module_that_cannot_be_imported_is_named() -> None:
    with pytest.raises(ImportError, match=r"importing 'no_such_envs', which registers its"):
        envs.make("gym:no_such_envs:X-v0")
    assert "X-v0" not in gymnasium.registry
