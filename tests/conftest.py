"""Shared by all tests: one thread a worker, where the golden numbers lie, hypothesis profiles."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

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


@pytest.fixture(scope="session")
def goldens() -> Path:
    """Folder of the golden numbers; the test is skipped where it is missing."""
    folder = SHARED / "goldens" / "algorithms"
    if not folder.is_dir():
        pytest.skip(f"golden numbers not found at {folder}; set MPPI_ZOO_SHARED to their folder")
    return folder
