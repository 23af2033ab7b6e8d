"""The number of threads is a rule of sizes and cores; nothing here is measured."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mppi_zoo.compute import threads

# rows x width of the smaller of plan and update, by scale
LAPTOP, SIZE1, SIZE5, SIZE48 = (
    threads.work(*sizes) for sizes in ((128, 128), (256, 384), (256, 512), (256, 1792))
)


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (threads.work(16, 32), [1, 1, 1, 1, 1, 1, 1]),  # the debug scale
        (LAPTOP, [1, 1, 1, 1, 1, 1, 1]),
        (SIZE1, [1, 2, 2, 2, 2, 2, 2]),
        (SIZE5, [1, 2, 3, 4, 4, 4, 4]),
        (SIZE48, [1, 2, 3, 4, 8, 16, 49]),
    ],
)
def test_threads_by_size_and_cores(work: int, expected: list[int]) -> None:
    assert [threads.choose(work, cores) for cores in (1, 2, 3, 4, 8, 16, 64)] == expected


def test_more_cores_or_larger_networks_never_take_threads_away() -> None:
    works = (1, LAPTOP, SIZE1, SIZE5, SIZE48, 2**34)
    table = [[threads.choose(work, cores) for cores in range(1, 65)] for work in works]
    for work, row in zip(works, table, strict=True):
        assert row == sorted(row) and row[0] == 1
        assert all(n <= cores for cores, n in enumerate(row, 1))
        assert all(n == 1 or work // n >= threads.WORK_PER_THREAD for n in row)
    assert all(list(column) == sorted(column) for column in zip(*table, strict=True))


@pytest.mark.parametrize(
    ("value", "expected"), [("", None), (" ", None), ("1", 1), (" 12 ", 12), ("4,2", 4)]
)
def test_the_users_own_number(value: str, expected: int | None) -> None:
    assert threads.asked_for({threads.VARIABLE: value}) == expected
    assert threads.asked_for({}) is None


@pytest.mark.parametrize("value", ["0", "-2", "many", "1.5"])
def test_a_number_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=f"OMP_NUM_THREADS = '{value}': expected a number"):
        threads.asked_for({threads.VARIABLE: value})


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        version = "cpu.max" if name == "max" else f"cpu.cfs_{name}_us"
        (folder / version).write_text(text + "\n")


@pytest.fixture
def sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 64 cores, of which the process may use sixteen."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16, 32)), raising=False)


def own_group(root: Path, *lines: str) -> None:
    (root / "proc/self").mkdir(parents=True, exist_ok=True)
    (root / "proc/self/cgroup").write_text("".join(f"{line}\n" for line in lines))


def test_cores_are_those_of_the_affinity_mask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sixteen: None
) -> None:
    assert threads.usable_cores(tmp_path) == 16  # no control groups at all
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {5})
    assert threads.usable_cores(tmp_path) == 1
    monkeypatch.delattr(os, "sched_getaffinity")  # not Linux
    assert threads.usable_cores(tmp_path) == 64


def test_control_groups_version_2(tmp_path: Path, sixteen: None) -> None:
    own_group(tmp_path, "0::/user/job")
    groups = tmp_path / "sys/fs/cgroup"
    group(groups / "user/job", max="max 100000")
    assert threads.usable_cores(tmp_path) == 16
    group(groups / "user", max="400000 100000")  # of a group above
    assert threads.usable_cores(tmp_path) == 4
    group(groups / "user/job", max="150000 50000")
    assert threads.usable_cores(tmp_path) == 3
    group(groups / "user/job", max="190000 100000")  # the second thread would wait
    assert threads.usable_cores(tmp_path) == 1
    group(groups / "user/job", max="10000 100000")
    assert threads.usable_cores(tmp_path) == 1


def test_in_a_container_the_limit_is_at_the_mount(tmp_path: Path, sixteen: None) -> None:
    own_group(tmp_path, "0::/../../outside")
    group(tmp_path / "sys/fs/cgroup", max="200000 100000")
    assert threads.usable_cores(tmp_path) == 2


def test_control_groups_version_1(tmp_path: Path, sixteen: None) -> None:
    own_group(tmp_path, "5:memory:/job", "4:cpu,cpuacct:/job", "0::/")
    groups = tmp_path / "sys/fs/cgroup"
    group(groups / "memory/job", quota="100000", period="100000")  # of another controller
    group(groups / "cpu,cpuacct/job", quota="-1", period="100000")
    assert threads.usable_cores(tmp_path) == 16
    group(groups / "cpu,cpuacct/job", quota="250000", period="100000")
    assert threads.usable_cores(tmp_path) == 2
    group(groups / "cpu,cpuacct/job", quota="damaged", period="0")
    assert threads.usable_cores(tmp_path) == 16


def test_the_programs_own_number_of_threads_comes_back() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), threads.using(3):
        assert torch.get_num_threads() == 3
        raise KeyError
    assert torch.get_num_threads() == before


def test_waiting_threads_sleep_unless_the_user_says_otherwise() -> None:
    environment = {"OMP_WAIT_POLICY": "ACTIVE"}
    threads.wait_passively(environment)
    assert environment == {"OMP_WAIT_POLICY": "ACTIVE", "KMP_BLOCKTIME": "0"}


def test_a_runs_program_says_so_before_it_imports_torch() -> None:
    code = (
        "import os, sys, importlib.abc\n"
        "class Watch(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'torch':\n"
        "            print(os.environ.get('OMP_WAIT_POLICY')); os._exit(0)\n"
        "sys.meta_path.insert(0, Watch())\n"
        "import mppi_zoo.run\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "PASSIVE"
