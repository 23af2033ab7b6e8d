"""Shared by all tests: one thread a worker, where the golden numbers lie, hypothesis profiles."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from support.short_runs import ToyRuns

torch.set_num_threads(1)

settings.register_profile("dev", max_examples=20, deadline=None)
settings.register_profile(
    "ci",
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("MPPI_ZOO_SHARED", ROOT.parent / "shared"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first: workers that are done take over the quick ones, and all end together."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def of_all_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this session that its workers share."""
    base = tmp_path_factory.getbasetemp()  # of this worker, within the session's where it is one
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def toy_run(of_all_workers: Path) -> ToyRuns:
    """Short undisturbed runs, by the member's name; trained once for all tests and workers."""
    from support.short_runs import ToyRuns  # here: it imports the whole package

    return ToyRuns(of_all_workers / "toy_runs")


@pytest.fixture(scope="session")
def goldens() -> Path:
    """Folder of the golden numbers; the test is skipped where it is missing."""
    return _shared("goldens/algorithms")


@pytest.fixture(scope="session")
def humanoid_goldens() -> Path:
    """Folder of HumanoidBench's recorded states; the test is skipped where it is missing."""
    return _shared("goldens/humanoid_bench")


@pytest.fixture(scope="session")
def humanoid_figures() -> Path:
    """The measured figures of the robot h1hand; the test is skipped where they are missing."""
    return _shared("humanoid_bench/h1hand_figures.json")


def _shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"golden numbers not found at {path}; set MPPI_ZOO_SHARED to their folder")
    return path
