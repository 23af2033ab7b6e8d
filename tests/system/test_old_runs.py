"""Run folders and exported programs of an earlier version load, go on and are reported.

Those in tests/support/old_runs were written at commit 1cdd8f1, before parameters were renamed, on
toy:point with tiny networks: a `tdmpc2_equiv` run that was finished at step 130, its exported
programs, and a `pompc_adaptive_fkl` run that a signal stopped at step 131 of 160. With them lies
what that commit's program did with them: actions, and the metrics of going on to step 160.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import mppi_zoo
from mppi_zoo.analysis import load_runs, report
from mppi_zoo.analysis.configuration import parse_settings
from mppi_zoo.cli import main as run

OLD = Path(__file__).resolve().parents[1] / "support" / "old_runs"
RECORDED = json.loads((OLD / "recorded.json").read_text())
OBSERVATIONS = [np.array(obs) for obs in RECORDED["observations"]]
RUNS = ("finished", "stopped")

# run where mppi_zoo cannot be imported
PLAIN = """
import json, sys, torch
sys.modules["mppi_zoo"] = None
policy, planner = (torch.export.load(f"{n}.pt2").module() for n in ("policy", "planner"))
observations = [torch.tensor([obs]) for obs in json.loads(sys.argv[1])]
torch.manual_seed(0)
plan, planned = torch.zeros(3, 1, 2), []
for obs in observations:
    action, plan = planner(obs, plan)
    planned.append(action[0].tolist())
print(json.dumps({"policy": [policy(obs)[0].tolist() for obs in observations], "planner": planned}))
"""


def unpack(name: str, folder: Path) -> Path:
    shutil.unpack_archive(OLD / f"{name}.zip", folder)
    return folder / name


@pytest.mark.parametrize("name", RUNS)
def test_an_old_run_acts_as_it_did(tmp_path: Path, name: str) -> None:
    controller = mppi_zoo.load(unpack(name, tmp_path))
    planned = [controller.act(obs) for obs in OBSERVATIONS]
    bare = [controller.act(obs, planner=False) for obs in OBSERVATIONS]
    np.testing.assert_allclose(planned, RECORDED[name]["planner"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(bare, RECORDED[name]["policy"], rtol=0, atol=1e-6)


def test_a_stopped_run_goes_on_as_it_would_have(tmp_path: Path) -> None:
    folder = unpack("stopped", tmp_path)
    configuration = (folder / "config.gin").read_bytes()
    assert run.main(["--resume", str(folder), "--quiet"]) == 0
    same_metrics(folder, "stopped")
    assert (folder / "config.gin").read_bytes() == configuration


def test_a_finished_run_can_be_made_longer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = unpack("finished", tmp_path)
    longer = ["--resume", str(folder), "--steps", "160", "--quiet"]
    assert run.main(longer) == 2
    shown = [line for line in capsys.readouterr().err.splitlines() if line[0] in "+-"]
    assert shown == ["--- the run", "+++ now", "-steps = 130", "+steps = 160"]
    assert run.main([*longer, "--force"]) == 0
    same_metrics(folder, "finished")


def same_metrics(folder: Path, name: str) -> None:
    """The same bytes on a machine like that of the recording, else the same measurements."""
    ours = (folder / "metrics.csv").read_bytes()
    recorded = (OLD / f"{name}_to_160.csv").read_bytes()
    session = json.loads((folder / "sessions.jsonl").read_text().splitlines()[-1])
    machine = {
        "torch": session["versions"]["torch"],
        "capability": torch.backends.cpu.get_cpu_capability(),
        "processor": session["device_name"],
    }
    if machine == RECORDED["machine"]:
        assert ours == recorded
    else:  # up to the checkpoint; beyond it the last digits differ, and soon more
        rows, expected = ours.splitlines(), recorded.splitlines()
        until = sum(int(row.split(b",")[0]) <= 130 for row in expected[1:])
        assert rows[: 1 + until] == expected[: 1 + until]
        assert [row.rsplit(b",", 1)[0] for row in rows] == [
            row.rsplit(b",", 1)[0] for row in expected
        ]


def test_old_runs_are_in_the_report(tmp_path: Path) -> None:
    for name in RUNS:
        unpack(name, tmp_path / "old")
    found = load_runs([tmp_path / "old"])
    assert found.skipped == {} and [part.label for part in found.runs] == [
        "tdmpc2_equiv",
        "pompc_adaptive_fkl",
    ]
    out = tmp_path / "report"
    assert report.main([str(tmp_path / "old"), "--out", str(out)]) == 0
    (page,) = out.glob("*.html")
    assert all(name in page.read_text() for name in RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_its_settings_are_those_of_the_same_command_today(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder = unpack(name, tmp_path)
    python, m, program, *arguments = json.loads((folder / "run.json").read_text())["command_line"]
    assert run.main([*arguments, "--show"]) == 0
    today = parse_settings(capsys.readouterr().out)
    assert parse_settings((folder / "config.gin").read_text()) == today


def test_an_old_exported_program_runs_in_plain_torch(tmp_path: Path) -> None:
    folder = unpack("exported", tmp_path)
    command = [sys.executable, "-c", PLAIN, json.dumps(RECORDED["observations"])]
    done = subprocess.run(command, check=True, cwd=folder, capture_output=True, text=True)
    actions = json.loads(done.stdout)
    for name in ("policy", "planner"):
        np.testing.assert_allclose(actions[name], RECORDED["exported"][name], rtol=0, atol=1e-6)
