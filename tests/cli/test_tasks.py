"""The command that lists the tasks."""

from __future__ import annotations

import pytest

from mppi_zoo.cli.tasks import main


def test_a_row_has_sizes_limit_and_endings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["toy:POINT"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].split() == "task observation action time limit repeat ends early".split()
    assert rows[1].split() == ["toy:point", "2", "2", "25", "1", "no"]
    assert rows[2].split() == ["toy:point-terminating", "2", "2", "25", "1", "yes"]
    assert len(rows) == 3


def test_what_cannot_be_used_is_counted_and_on_request_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["gym:*MountainCar*-v0"]) == 0
    out = capsys.readouterr().out
    assert "gym:MountainCarContinuous-v0" in out and "1 more cannot be used" in out
    assert main(["gym:MountainCar-v0", "--unusable"]) == 0
    assert "gym:MountainCar-v0: " in (told := capsys.readouterr().out)
    assert "is not continuous" in told


def test_no_match_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-such-task"]) == 2
    assert "no task matches 'no-such-task'" in capsys.readouterr().err
