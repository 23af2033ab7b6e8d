"""Every program of examples/ runs, for a moment; onnx_controller.py in deploy/test_export.py."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest
from support.short_runs import PHASES, SHALLOW, SMALL, train, without_waiting

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs an example as a program would; what it printed."""
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.chdir(EXAMPLES)

    def run(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_the_environment_and_the_loop_around_its_agent(
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_waiting(monkeypatch)
    assert "obs_dim=6, action_dim=2, episode_length=100" in call("custom_env.py")
    run = train(tmp_path / "run", "tdmpc2_equiv", "custom_env:Arm", *PHASES, *SHALLOW)
    # under way the arm moves in a process of its own; an untimed test asks for no speed
    said = call("robot_loop.py", run, "--seconds", 0.4, "--deadline", 0.2)
    assert "20 steps at 50 Hz: p50" in said and ", 0 refused" in said
    assert re.search(r"planner's iterations: \{.*1: \d+", said)


def test_a_batch_of_arms_is_one_environment(
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_waiting(monkeypatch)
    assert "4 in one:" in call("batched_env.py", "--num-envs", 4)
    several = ["--num-envs", "4"]
    run = train(tmp_path / "run", "tdmpc2_equiv", "vec:batched_env:Arms", *SMALL, *several)
    assert (run / "checkpoints" / "last.pt").is_file()


def test_the_planner_alone_swings_a_simulated_pole(call) -> None:
    assert "3 steps of 0.08 s" in call("planner_only.py", "--steps", 3)


def test_every_example_is_run_here() -> None:
    exports = Path(__file__).parents[1] / "deploy" / "test_export.py"
    text = Path(__file__).read_text() + exports.read_text()
    missing = [path.name for path in EXAMPLES.glob("*.py") if f'"{path.name}"' not in text]
    assert missing == []
