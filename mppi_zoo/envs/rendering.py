"""Whether MuJoCo can render without a display here, and by which backend."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator

# The probe draws an image, since a context can often be created where drawing then fails.
_PROBE = """
import mujoco
model = mujoco.MjModel.from_xml_string(
    '<mujoco><worldbody><light pos="0 0 3"/><geom size="1"/></worldbody></mujoco>')
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 32, 32) as renderer:
    renderer.update_scene(data)
    if not renderer.render().any():
        raise RuntimeError("the image is black")
"""
_PROBE_SECONDS = 60.0
_PYOPENGL_BACKENDS = ("egl", "osmesa")
_DISABLED = ("off", "disable", "disabled", "false", "0")


def rendering_available() -> tuple[bool, str]:
    """Whether MuJoCo can render images here: (True, backend) or (False, what to do about it).

    Tries the backend that MUJOCO_GL names; if it is not set, egl, then osmesa. Each is tried in a
    separate process, since a broken OpenGL library can end the process. On success MUJOCO_GL, and
    PYOPENGL_PLATFORM where the backend needs it, are set for this process. The first call takes
    about a second; later calls return its result. Never raises.
    """
    try:
        return _find_backend()
    except Exception as error:  # videos are optional: a failure here must not stop a run
        return False, f"looking for a rendering backend failed: {type(error).__name__}: {error}"


def require_rendering(task: str) -> None:
    """Sets up rendering for ``task``.

    Raises:
        RuntimeError: rendering is not available.
    """
    available, detail = rendering_available()
    if not available:
        raise RuntimeError(f"{task} was asked to render, but {detail}")


@contextlib.contextmanager
def quiet_gl_import() -> Iterator[None]:
    """Suppresses glfw's warning about a missing display during an import.

    MUJOCO_GL is not set to "disable" for this, since the process and its children would keep it;
    then a later ``make(..., render=True)`` could not render.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*DISPLAY environment variable is missing.*")
        yield


@functools.lru_cache(maxsize=1)
def _find_backend() -> tuple[bool, str]:
    failures = []
    for backend in _candidates():
        if backend in _DISABLED:
            return False, f"MUJOCO_GL={backend} disables rendering; unset it to let one be chosen"
        if clash := _loaded_clash(backend):
            failures.append(f"{backend}: {clash}")
            continue
        if failure := _probe(backend):
            failures.append(f"{backend or 'default'}: {failure}")
            continue
        if backend:
            os.environ["MUJOCO_GL"] = backend
        if backend in _PYOPENGL_BACKENDS:
            os.environ["PYOPENGL_PLATFORM"] = backend
        return True, backend or "default"
    chosen = os.environ.get("MUJOCO_GL")
    unset = f"Unset MUJOCO_GL={chosen} to have others tried, or install" if chosen else "Install"
    return False, (
        f"MuJoCo cannot render here ({'; '.join(failures)}). {unset} a headless OpenGL: on Debian "
        "and Ubuntu the packages libegl1 (GPU, or Mesa's software driver) or libosmesa6 "
        "(software); MUJOCO_GL=egl or MUJOCO_GL=osmesa then selects one"
    )


def _candidates() -> list[str]:
    chosen = os.environ.get("MUJOCO_GL", "").lower().strip()
    if chosen:
        return [chosen]
    if sys.platform != "linux":
        return [""]
    return [*_PYOPENGL_BACKENDS, *(["glfw"] if os.environ.get("DISPLAY") else [])]


def _loaded_clash(backend: str) -> str | None:
    loaded = os.environ.get("PYOPENGL_PLATFORM")
    if backend in _PYOPENGL_BACKENDS and "OpenGL" in sys.modules and loaded != backend:
        return (
            f"PyOpenGL was already imported for platform {loaded or 'default'}; "
            f"set MUJOCO_GL={backend} before Python starts"
        )
    return None


def _probe(backend: str) -> str | None:
    environment = {k: v for k, v in os.environ.items() if k != "PYOPENGL_PLATFORM"}
    if backend:
        environment["MUJOCO_GL"] = backend
    try:
        result = subprocess.run(
            [sys.executable, "-c", _PROBE],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"no image within {_PROBE_SECONDS:.0f} s"
    if result.returncode == 0:
        return None
    if result.returncode < 0:
        return f"crashed with signal {-result.returncode}"
    lines = [line for line in result.stderr.splitlines() if line and not line.startswith(" ")]
    # The first error is the cause; errors of the clean-up after it are printed later.
    errors = [line for line in lines if "Error" in line.split(":")[0]]
    return (errors or lines or [f"exit status {result.returncode}"])[0]
