"""Rendering, and what is said where there is none."""

import os
import subprocess

import pytest

from mppi_zoo import envs
from mppi_zoo.envs import rendering


@pytest.fixture
def fresh(monkeypatch):
    """The search as in a process that has neither searched nor loaded OpenGL."""
    for name in ("MUJOCO_GL", "PYOPENGL_PLATFORM", "DISPLAY"):
        monkeypatch.setenv(name, "")  # so that monkeypatch restores it
        monkeypatch.delenv(name)
    monkeypatch.setattr(rendering.sys, "platform", "linux")
    monkeypatch.setattr(rendering, "_loaded_clash", lambda backend: None)
    rendering._find_backend.cache_clear()
    yield monkeypatch
    rendering._find_backend.cache_clear()


def fake_probe(working, returncode=1, stderr="ImportError: no library\n"):
    def run(command, env, **_):
        works = env["MUJOCO_GL"] in working
        return subprocess.CompletedProcess(command, 0 if works else returncode, "", stderr)

    return run


def test_falls_back_to_osmesa(fresh):
    fresh.setattr(rendering.subprocess, "run", fake_probe({"osmesa"}))
    assert envs.rendering_available() == (True, "osmesa")
    assert os.environ["MUJOCO_GL"] == os.environ["PYOPENGL_PLATFORM"] == "osmesa"


def test_the_users_choice_is_the_only_one_tried(fresh):
    fresh.setenv("MUJOCO_GL", "egl")
    fresh.setattr(rendering.subprocess, "run", fake_probe({"osmesa"}))
    available, message = envs.rendering_available()
    assert not available and "MUJOCO_GL=egl" in message
    assert os.environ["MUJOCO_GL"] == "egl"


def test_disabled_by_the_user(fresh):
    fresh.setenv("MUJOCO_GL", "off")
    assert envs.rendering_available()[0] is False


def test_message_without_opengl(fresh):
    fresh.setattr(rendering.subprocess, "run", fake_probe(set()))
    available, message = envs.rendering_available()
    assert not available
    for word in ("libegl1", "libosmesa6", "MUJOCO_GL", "ImportError: no library"):
        assert word in message
    assert "MUJOCO_GL" not in os.environ
    with pytest.raises(RuntimeError, match="dmc:walker-walk was asked to render.*libosmesa6"):
        envs.make("dmc:walker-walk", render=True)


def test_a_crashing_driver_is_survived(fresh):
    fresh.setattr(rendering.subprocess, "run", fake_probe(set(), returncode=-11, stderr=""))
    assert "signal 11" in envs.rendering_available()[1]


def test_never_raises(fresh):
    def run(*_, **__):
        raise OSError("no processes left")

    fresh.setattr(rendering.subprocess, "run", run)
    assert envs.rendering_available() == (
        False,
        "looking for a rendering backend failed: OSError: no processes left",
    )


def test_renders_after_an_environment_that_did_not():
    # In a process of its own: what OpenGL leaves behind would follow the other tests.
    code = (
        "from mppi_zoo import envs\n"
        "import sys\n"
        "envs.make('dmc:pendulum-swingup').reset(seed=0)\n"
        "if not envs.rendering_available()[0]: sys.exit(77)\n"
        "env = envs.make('dmc:pendulum-swingup', render=True)\n"
        "env.reset(seed=0)\n"
        "frame = env.render()\n"
        "assert frame.shape == (240, 320, 3) and frame.any(), frame.shape\n"
        "env.close()\n"
    )
    result = subprocess.run([rendering.sys.executable, "-c", code], capture_output=True, text=True)
    if result.returncode == 77:
        pytest.skip(envs.rendering_available()[1])
    assert result.returncode == 0, result.stderr
