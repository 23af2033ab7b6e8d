"""How memory is counted, and kept."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mppi_zoo.compute import memory


def group(folder: Path, limit: str, used: int, cached: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(limit)
    (folder / "memory.current").write_text(str(used))
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\n")


def test_available_memory_heeds_every_control_group_above(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("0::/job/step\n")
    root = tmp_path / "cgroup"
    group(root / "job" / "step", "max\n", 50, 0)
    free = memory.available(root, own)
    assert free == pytest.approx(memory.available(tmp_path / "none", tmp_path / "none"), rel=0.2)
    group(root / "job", "1000\n", 700, 200)
    assert memory.available(root, own) == 500
    group(root / "job" / "step", "800\n", 650, 50)
    assert memory.available(root, own) == 200
    group(root / "job" / "step", "600\n", 650, 0)
    assert memory.available(root, own) == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone has mallopt")
def test_where_there_is_no_glibc_nothing_is_asked_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    class Library:
        @staticmethod
        def mallopt(name: int, value: int) -> int:
            asked.append((name, value))
            return 1

    monkeypatch.setattr("ctypes.CDLL", lambda name: Library)
    assert memory.keep_freed_memory()
    assert dict(asked)[memory.MMAP_THRESHOLD] == memory.LARGEST_KEPT
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert not memory.keep_freed_memory()
