"""The figures in docs/choosing_settings.md are what the data say."""

# pandas annotates frame[mask] as a series and group keys as any scalar, which fails these checks:
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from mppi_zoo import analysis
from mppi_zoo.analysis import HARD, pick
from mppi_zoo.analysis.run_sections import gain
from mppi_zoo.analysis.speed import speeds

ROOT = Path(__file__).resolve().parents[2]
PAGE = re.sub(r"\s+", " ", (ROOT / "docs" / "choosing_settings.md").read_text())


def published(source: str, step: int, **where: object) -> dict[str, int]:
    rows = pick(analysis.load_published([source]), frames=step, **where)
    found = analysis.mean_over_tasks(analysis.scores_at(rows, step, "frames"))
    return {
        name: round(value) for name, value in zip(found["algorithm"], found["value"], strict=True)
    }


def test_published() -> None:
    hard = {"benchmark": "dmcontrol", "task": HARD}
    million, four = published("bmpc_1M", 1_000_000, **hard), published("bmpc_4M", 4_000_000, **hard)
    own = published("tdmpc2", 1_000_000, algorithm="tdmpc2", **hard)["tdmpc2"]
    assert (
        f"BMPC {million['bmpc']}, TD-MPC2 {million['tdmpc2']} (both BMPC's release; TD-MPC2's own "
        f"release gives {own})" in PAGE
    )
    assert f"{four['bmpc']} against {four['tdmpc2']} at 4M" in PAGE
    boom = published("boom", 2_000_000, **hard)
    hand = published("boom", 1_900_000, robot="h1hand")
    assert f"{boom['boom']}, BMPC {boom['bmpc']}, TD-MPC2 {boom['tdmpc2']} on those tasks" in PAGE
    assert f"{hand['boom']}, {hand['bmpc']} and {hand['tdmpc2']} on 7 h1hand tasks" in PAGE
    there = published("boom", 1_000_000, **hard)["bmpc"]
    assert f"BMPC at 1M is {there} in BOOM's release and {million['bmpc']} in its own" in PAGE


@pytest.fixture(scope="module")
def ours() -> analysis.Runs:
    return analysis.load_runs([ROOT / "baselines" / "results" / "laptop"])


def at(table: pd.DataFrame, step: int) -> dict[str, int]:
    rows = analysis.curves(table, "agent_step")
    rows = rows[rows["step"] == step]
    return {
        name: round(value) for name, value in zip(rows["algorithm"], rows["value"], strict=True)
    }


def test_own_returns(ours: analysis.Runs) -> None:
    planner, policy = (analysis.evaluations(ours.table, split) for split in ("planner", "policy"))
    early, late = at(planner, 10_000), at(planner, 20_000)
    names = ("pompc_adaptive_fkl", "bmpc_equiv", "tdmpc2_equiv")
    po, bmpc, td = (early[name] for name in names)
    assert f"ahead at 10,000 steps ({po}; BMPC {bmpc}, TD-MPC2 {td})" in PAGE
    assert f"level at 20,000 ({', '.join(str(late[name]) for name in names)})" in PAGE
    bare = at(policy, 20_000)
    assert f"{bare['bmpc_equiv']} against TD-MPC2's {bare['tdmpc2_equiv']} at 20,000" in PAGE
    gaps = {step: at(gain(ours.table), step) for step in (10_000, 20_000, 25_000)}
    assert (
        f"minus the policy's was {gaps[20_000]['tdmpc2_equiv']} at 20,000 steps and "
        f"{gaps[25_000]['tdmpc2_equiv']} at 25,000 with TD-MPC2-equivalent, "
        f"{gaps[20_000]['bmpc_equiv']} at 20,000 with BMPC-equivalent".replace("-33", "−33")
        in PAGE
    )
    adaptive = "pompc_adaptive_fkl"
    assert f"{gaps[10_000][adaptive]} below its planner at 10,000 steps" in PAGE
    assert f"{gaps[20_000][adaptive]} at 20,000. [ours]" in PAGE


def test_own_stds_and_times(ours: analysis.Runs) -> None:
    std = pick(ours.table, split="train", metric="policy_std").sort_values("agent_step")
    last = std.groupby(["algorithm", "run"]).tail(3).groupby("algorithm")["value"].mean()
    assert f"rose to {last['tdmpc2_equiv']:.1f} with" in PAGE
    assert f"stayed at {last['bmpc_equiv']:.2f} with BMPC-equivalent" in PAGE
    assert f"policy std {last['pompc_adaptive_fkl']:.2f} in our adaptive runs" in PAGE
    times = speeds([run for run in ours.runs if run.label != "tdmpc2_equiv"])
    low, high = (round(x) for x in times["reanalysis_ms"].agg(["min", "max"]))
    assert f"took {low} to {high} ms an update" in PAGE
    low, high = (round(x) for x in times["update_ms"].agg(["min", "max"]))
    assert f"beside {low} to {high} ms for the update itself" in PAGE
