"""One process a run folder, on file systems with locks and without."""

from __future__ import annotations

import errno
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from support.file_systems import without_locks

from mppi_zoo.runs.lock import LOCK_FILE, OWNER_FILE, in_use, locked


def test_a_folder_is_in_use_while_it_is_locked(tmp_path: Path) -> None:
    assert not in_use(tmp_path) and not in_use(tmp_path / "absent")
    with locked(tmp_path) as warning:
        assert not warning and in_use(tmp_path)
        assert (tmp_path / OWNER_FILE).read_text().startswith(f"process {os.getpid()} on ")
    assert not in_use(tmp_path) and not (tmp_path / OWNER_FILE).exists()
    with locked(tmp_path):
        pass


def test_a_second_process_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom mppi_zoo.runs.lock import locked\n"
        "with locked(sys.argv[1]):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(ValueError, match=f"in use by process {other.pid} on"):
            with locked(tmp_path):
                raise AssertionError("two processes hold the lock")
        other.kill()
        other.wait()
    with locked(tmp_path):  # the system released it
        assert in_use(tmp_path)


def test_without_locks_a_folder_is_in_use_while_its_owner_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(monkeypatch, errno.ENOSYS)
    owner = tmp_path / OWNER_FILE
    assert not in_use(tmp_path)
    with locked(tmp_path) as warning:
        assert warning and in_use(tmp_path)
        os.utime(owner, (1e9, 1e9))  # written before this process began: by another of its number
        assert not in_use(tmp_path)
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        for text in (f"process {ended.pid} on {platform.node()}", "process 1 on elsewhere", ""):
            owner.write_text(text)
            assert not in_use(tmp_path)
    assert not in_use(tmp_path)


def test_asking_whether_a_folder_is_in_use_empties_no_other_file(tmp_path: Path) -> None:
    other, folder = tmp_path / "notes.txt", tmp_path / "run"
    other.write_text("mine")
    folder.mkdir()
    (folder / LOCK_FILE).symlink_to(other)
    assert not in_use(folder) and other.read_text() == "mine"
