"""Environments from a user's own modules."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from mppi_zoo import envs
from mppi_zoo.envs.options import EnvOptions

MODULE = "support.custom_envs"


def test_module_that_fails_to_import(tmp_path, monkeypatch):
    (tmp_path / "broken_env.py").write_text("import a_missing_dependency\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImportError, match="'broken_env' failed.*a_missing_dependency"):
        envs.make("broken_env:Env")


def test_module_in_current_directory(tmp_path, monkeypatch):
    source = "from mppi_zoo.envs.toy import Point\ndef build(): return Point(episode_steps=7)\n"
    (tmp_path / "local_env_module.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert envs.spec_of(envs.make("local_env_module:build")).episode_length == 7
    assert sys.path == before


def test_rendering_of_a_custom_env():
    env: Any = envs.make(f"{MODULE}:Recorder", render=True)
    env.reset(seed=0)
    assert env.render().shape == (4, 4, 3)
    with pytest.raises(ValueError, match="render_mode"):
        envs.make(f"{MODULE}:OddBounds", render=True)


def test_arguments_reach_the_factory():
    env = envs.make(f"{MODULE}:Sized", EnvOptions(arguments={"size": 4}))
    assert envs.spec_of(env).obs_dim == 4


@pytest.mark.parametrize(
    ("factory", "arguments", "message"),
    [
        ("Sized", {}, r"missing a required argument: 'size'; .*takes \(size\).*--env-arg"),
        ("Sized", {"sise": 4}, r"--env-arg"),
        ("Recorder", {"render_mode": "human"}, r"--env-arg render_mode: this package sets it"),
        ("raises", {}, r"called with \(\), raised KeyError: 'no such key'"),
        ("a_vector", {}, r"returned SyncVectorEnv, a vector of environments; .*vec:support"),
    ],
)
def test_factories_that_give_no_environment(factory, arguments, message):
    with pytest.raises(ValueError, match=message):
        envs.make(f"{MODULE}:{factory}", EnvOptions(arguments=arguments))


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("os:system", "missing a required argument: 'command'"),
        ("os:getcwd", "expected a gymnasium.Env"),
        ("os:sep", "expected a class or function"),
        (f"{MODULE}:no_such", "no_such"),
    ],
)
def test_what_builds_no_environment_is_refused(task: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        envs.make(task)
