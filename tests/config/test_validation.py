"""What is refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from mppi_zoo.cli import main as run
from mppi_zoo.config import validation

SHORT = ["--gin", "tdmpc2_equiv", "--gin", "debug", "--task", "toy:point", "--quiet", "--no-video"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--param", "horizon=26"], "horizon = 26 is longer than an episode"),
        (["--param", "batch_size=61"], "batch_size = 61 windows are more than the seed phase"),
        (["--num-envs", "20"], "60 steps in 20 environments holds no window of 4"),
        (["--steps", "59"], "steps = 59 ends within the seed phase of 60"),
        (["--param", "elites=25"], "elites = 25, expected 1 .. samples = 24"),
        (["--param", "KLObjective.lam=-1.0"], "lam = -1.0"),
        (["--device", "cuda:7"], "--device cuda:7: not available"),
        (
            ["--param", "TrainingOptions.checkpoints_kept=1"],
            "checkpoints_kept = 1: expected",
        ),
        (["--param", "TrainingOptions.checkpoint_minutes=-1.0"], "checkpoint_minutes = -1.0"),
        (["--param", "EnvOptions.time_out=0.0"], "EnvOptions.time_out = 0.0"),
    ],
)
def test_bad_sizes_fail_early(tmp_path: Path, capsys, arguments: list[str], message: str) -> None:
    out = tmp_path / "run"
    assert run.main([*SHORT, "--out", str(out), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_replay_beyond_the_memory_is_refused(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(validation, "available", lambda: 9000)  # 241 rows of 49 bytes
    assert run.main([*SHORT, "--out", str(tmp_path / "run")]) == 2
    assert "the replay of 241 rows needs" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
