"""Which tasks are listed, and what is said of them."""

from __future__ import annotations

import pytest

from mppi_zoo.envs import listing
from mppi_zoo.envs.registry import check_name


def test_every_listed_name_is_one_that_its_suite_knows() -> None:
    tasks, missing = listing.installed()
    assert {"toy", "gym", "hb", "dmc"} <= {task.split(":")[0] for task in tasks}
    assert all("not installed" in reason or "HUMANOID" in reason for reason in missing.values())
    for task in tasks:
        check_name(task)


def test_patterns() -> None:
    tasks = ["dmc:walker-walk", "ep:MetaWorld/Reach-v3", "ep:WalkerWalk-v1"]
    assert listing.matching(tasks, "WALK") == [tasks[0], tasks[2]]
    assert listing.matching(tasks, "ep:meta*/r*") == [tasks[1]]
    assert listing.matching(tasks, "") == tasks


def test_a_pool_is_described_without_being_built() -> None:
    pytest.importorskip("envpool", reason="EnvPool is not installed")
    facts = listing.describe("ep:WalkerWalk-v1")
    assert facts == listing.describe("dmc:walker-walk") == (24, 6, 1000, 2, False)
    names = listing.matching(listing.installed()[0], "myoHandPose1Fixed")
    assert names == ["ep:MyoSuite/myoHandPose1Fixed-v0"]
