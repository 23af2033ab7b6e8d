"""By hand (make matrix): every member trains and resumes exactly on each kind of task.

The suite does so on a toy; a simulator's step and its restoring are too slow for it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.agents import MEMBERS
from support.short_runs import SMALL, command, cut_and_resume, train, without_waiting
from system.soak.compare import differences

TASKS = ("dmc:cartpole-swingup", "gym:Hopper-v5")  # no early ends; episodes that end early


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_trains_and_resumes_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, member: str, task: str
) -> None:
    without_waiting(monkeypatch)
    train(tmp_path / "whole", member, task, *SMALL)
    crashes = [("explore", 23), ("pretrain", 17), ("learn", 10)]
    cut_and_resume(monkeypatch, command(tmp_path / "cut", member, task, *SMALL), crashes)
    assert differences(tmp_path / "whole", tmp_path / "cut") == []
