"""The folder of one run: its name, and what must be known to repeat the run."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from typing import Any

# Distributions whose versions can change a run's numbers.
DISTRIBUTIONS = (
    "mppi_zoo",
    "torch",
    "numpy",
    "mujoco",
    "dm_control",
    "gymnasium",
    "robosuite_models",
    "gin-config",
)

RUN_FILE = "run.json"
CONFIG_FILE = "config.gin"


def create(
    out: Path | None,
    *,
    member: str,
    task: str,
    seed: int,
    command_line: Sequence[str],
    operative_gin: str,
    device: str = "cpu",
    facts: Mapping[str, Any] | None = None,
) -> Path:
    """Makes a run folder with ``config.gin`` and ``run.json``.

    Args:
        out: the folder; by default a new ``runs/<member>_<task>_s<seed>_<time>`` in the working
            directory.
        member: the zoo member, e.g. ``tdmpc2_equiv``.
        task: e.g. ``dmc:walker-walk``.
        seed: the run's seed.
        command_line: the program's arguments, as in ``sys.argv``.
        operative_gin: every setting in force, as gin text.
        device: the torch device that the run computes on, e.g. ``cuda:0``.
        facts: further entries of ``run.json``, such as the environment's sizes.

    Returns:
        The folder.

    Raises:
        FileExistsError: ``out`` holds files already, or is itself a file.
    """
    started = datetime.now().astimezone()
    folder = _claim(Path(out)) if out is not None else _new_default(member, task, seed, started)
    record = {
        "member": member,
        "task": task,
        "seed": seed,
        "command_line": [str(argument) for argument in command_line],
        "started": started.isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **_versions()},
        "git": _git(Path(__file__).resolve().parent.parent),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "device": device,
        "device_name": _device_name(device),
        **(facts or {}),
    }
    _write(folder / CONFIG_FILE, operative_gin)
    # Last, since this file is what makes the folder a run folder.
    _write(folder / RUN_FILE, json.dumps(record, indent=2) + "\n")
    return folder


def read(folder: Path) -> dict[str, Any]:
    """What ``create`` recorded in the folder's ``run.json``.

    Raises:
        FileNotFoundError: there is no such folder, or it is not a run folder.
        ValueError: ``run.json`` cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {str(folder)!r}: give the path of a run's folder")
    path = folder / RUN_FILE
    if not path.is_file():
        inside = sorted(p.parent.name for p in folder.glob(f"*/{RUN_FILE}"))
        hint = f"; it contains the run folders {', '.join(inside)}: give one of them"
        raise FileNotFoundError(
            f"{str(folder)!r} is not a run folder: it has no {RUN_FILE}"
            + (hint if inside else "; give the folder that a training run wrote")
        )
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not readable JSON ({error}): restore or delete it") from error
    if not isinstance(record, dict):
        kind = type(record).__name__
        raise ValueError(f"{path} holds a JSON {kind}, expected an object: restore or delete it")
    return record


def _claim(folder: Path) -> Path:
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{str(folder)!r} is a file, expected a folder: name another one")
    folder.mkdir(parents=True, exist_ok=True)
    present = sorted(path.name for path in folder.iterdir())
    if present:
        listed = ", ".join(present[:3]) + (", ..." if len(present) > 3 else "")
        raise FileExistsError(
            f"the folder {str(folder)!r} is not empty ({listed}): name another one for this run, "
            "or move that one away; to continue the run in it, resume it instead"
        )
    return folder


def _new_default(member: str, task: str, seed: int, started: datetime) -> Path:
    name = f"{_slug(member)}_{_slug(task)}_s{seed}_{started:%Y%m%d-%H%M%S}"
    for number in count(1):  # runs that start in the same second
        folder = Path("runs") / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise AssertionError("unreachable: the count has no end")


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-") or "unnamed"


def _versions() -> dict[str, str | None]:
    """Installed versions, from metadata alone, as importing the libraries takes seconds."""
    versions: dict[str, str | None] = {}
    for name in DISTRIBUTIONS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions


def _git(root: Path) -> dict[str, Any] | None:
    """Commit of the checkout at ``root``, and whether files differ from it; None without one."""

    def git(*arguments: str) -> str:
        command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        # A package installed below somebody else's checkout must not report that one's commit.
        if Path(git("rev-parse", "--show-toplevel")).resolve() != root:
            return None
        commit = git("rev-parse", "--verify", "HEAD")
        return {"commit": commit, "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _device_name(device: str) -> str:
    torch = sys.modules.get("torch")  # whoever computes on a GPU has imported it
    if device.startswith("cuda") and torch is not None and torch.cuda.is_available():
        return torch.cuda.get_device_name(device)
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        cpuinfo = ""
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _write(path: Path, text: str) -> None:
    """Writes a file that is never seen half written."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
