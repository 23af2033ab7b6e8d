"""The folder of one run: its name, and the files with which the run can be repeated."""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from typing import Any

from mppi_zoo.runs import reader
from mppi_zoo.runs.atomic import sync_folder, write_text

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
SESSIONS_FILE = "sessions.jsonl"


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
    """Makes a run folder with ``config.gin`` and ``run.json``, in one step by renaming.

    Args:
        out: the folder; by default a new ``runs/<member>_<task>_s<seed>_<time>`` in the working
            directory.
        member: the zoo member, e.g. ``tdmpc2_equiv``.
        task: e.g. ``dmc:walker-walk``.
        seed: the run's seed.
        command_line: the program's arguments, as in ``sys.argv``.
        operative_gin: the full configuration, as gin text.
        device: the torch device that the run computes on, e.g. ``cuda:0``.
        facts: further entries of ``run.json``, such as the environment's sizes.

    Returns:
        The folder.

    Raises:
        FileExistsError: ``out`` holds files already, or is itself a file.
        OSError: the folder cannot be written.
    """
    started = datetime.now().astimezone()
    record = {
        "member": member,
        "task": task,
        "seed": seed,
        "command_line": [str(argument) for argument in command_line],
        "started": started.isoformat(timespec="seconds"),
        **_circumstances(device),
        **(facts or {}),
    }
    if out is not None:
        _refuse_content(Path(out))
    for folder in [Path(out)] if out is not None else _default_names(member, task, seed, started):
        if _made(folder, {CONFIG_FILE: operative_gin, RUN_FILE: _json(record)}):
            return folder
    raise FileExistsError(f"{str(out)!r} was filled by another process: name another folder")


def _made(folder: Path, files: dict[str, str]) -> bool:
    try:
        return _appear(folder, files)
    except OSError as error:
        told = OSError(
            f"the run folder {str(folder)!r} cannot be made ({error.strerror}): name one with "
            "--out where you may write"
        )
        told.errno = error.errno  # which says whether trying again may help
        raise told from error


def amend(folder: Path, **facts: Any) -> None:
    """Replace entries of ``run.json``."""
    write_text(folder / RUN_FILE, _json({**read(folder), **facts}))


def log_session(
    folder: Path,
    step: int,
    command_line: Sequence[str],
    device: str,
    facts: Mapping[str, Any] | None = None,
) -> list[str]:
    """Notes in ``sessions.jsonl`` that a process resumes the run at an agent step.

    Args:
        facts: further entries, such as how many rows of the replay were lost.

    Returns:
        What has changed since the run began, such as torch's version; it may change the last digits
        of results. Empty if nothing has.
    """
    record = {
        "step": step,
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        "host": platform.node(),
        "process": os.getpid(),
        "command_line": [str(argument) for argument in command_line],
        **_circumstances(device),
        **(facts or {}),
    }
    with (folder / SESSIONS_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    begun = read(folder)
    before = {"device": begun.get("device_name"), "commit": begun.get("git")}
    before |= begun["versions"]
    now = {**record["versions"], "device": record["device_name"], "commit": record["git"]}
    return [f"{k}: {before.get(k)} -> {now[k]}" for k in now if before.get(k) != now[k]]


def _circumstances(device: str) -> dict[str, Any]:
    return {
        "versions": {"python": platform.python_version(), **versions()},
        "git": _git(Path(__file__).resolve().parents[2]),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "device": device,
        "device_name": _device_name(device),
    }


def _json(record: Mapping[str, Any]) -> str:
    return json.dumps(record, indent=2) + "\n"


def read(folder: Path) -> dict[str, Any]:
    """What ``create`` recorded in the folder's ``run.json``.

    Raises:
        FileNotFoundError: there is no such folder, or it is not a run folder.
        ValueError: ``run.json`` cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {str(folder)!r}: give the path of a run's folder")
    if not os.path.lexists(folder / RUN_FILE):
        inside = sorted(p.parent.name for p in folder.glob(f"*/{RUN_FILE}"))
        hint = f"; it contains the run folders {', '.join(inside)}: give one of them"
        raise FileNotFoundError(
            f"{str(folder)!r} is not a run folder: it has no {RUN_FILE}"
            + (hint if inside else "; give the folder that a training run wrote")
        )
    return reader.read_object(folder, RUN_FILE)


def _refuse_content(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{str(folder)!r} is a file, expected a folder: name another one")
    present = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if present:
        listed = ", ".join(present[:3]) + (", ..." if len(present) > 3 else "")
        raise FileExistsError(
            f"the folder {str(folder)!r} is not empty ({listed}): name another one for this run, "
            "or move that one away; to continue the run in it, use --resume instead"
        )


def _default_names(member: str, task: str, seed: int, started: datetime) -> Iterator[Path]:
    name = f"{_slug(member)}_{_slug(task)}_s{seed}_{started:%Y%m%d-%H%M%S}"
    for number in count(1):  # runs that start in the same second
        yield Path("runs") / (name if number == 1 else f"{name}-{number}")


def _appear(folder: Path, files: Mapping[str, str]) -> bool:
    """Makes a folder with these files, by one rename; False if another process took the name."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    prepared = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(prepared, ignore_errors=True)
    prepared.mkdir()
    try:
        for name, text in files.items():
            write_text(prepared / name, text)
        if os.name == "nt" and folder.is_dir():
            folder.rmdir()  # only POSIX renames onto an empty folder
        prepared.rename(folder)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno == errno.ENOTEMPTY:
            return False
        raise
    finally:
        shutil.rmtree(prepared, ignore_errors=True)
    sync_folder(folder.parent)
    return True


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-") or "unnamed"


def versions() -> dict[str, str | None]:
    """Installed versions, from metadata alone, as importing the libraries takes seconds."""
    found: dict[str, str | None] = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _git(root: Path) -> dict[str, Any] | None:
    """Commit of the checkout at ``root``, and whether files differ from it; None without one."""

    def git(*arguments: str) -> str:
        command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        # A package installed inside another project's checkout must not report that commit.
        if Path(git("rev-parse", "--show-toplevel")).resolve() != root:
            return None
        commit = git("rev-parse", "--verify", "HEAD")
        return {"commit": commit, "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _device_name(device: str) -> str:
    torch = sys.modules.get("torch")  # a process that computes on a GPU has imported it
    if device.startswith("cuda") and torch is not None and torch.cuda.is_available():
        return torch.cuda.get_device_name(device)
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        cpuinfo = ""
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()
