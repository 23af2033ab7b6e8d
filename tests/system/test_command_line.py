"""The command line end to end: every member on every kind of task, determinism, errors, loading."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from support.agents import MEMBERS
from support.short_runs import (
    PHASES,
    SHALLOW,
    SHORT,
    SMALL,
    TOY,
    ToyRuns,
    train,
    without_measuring,
    without_waiting,
)

import mppi_zoo
from mppi_zoo.cli import main as run
from mppi_zoo.config import gin_config as config
from mppi_zoo.config.paths import gin_folder
from mppi_zoo.runs import folder as run_folder


def rows(folder: Path, split: str) -> pd.DataFrame:
    table = pd.read_csv(folder / "metrics.csv")
    return table.loc[table["split"] == split].reset_index(drop=True)


@pytest.mark.parametrize("member", MEMBERS)
def test_every_member_trains_on_the_toy(toy_run: ToyRuns, member: str) -> None:
    folder = toy_run(member)
    for name in ("config.gin", "run.json", "timing.csv", "learning_curve.png"):
        assert (folder / name).stat().st_size > 0
    assert {"last.pt", "best.pt"} <= {f.name for f in (folder / "checkpoints").iterdir()}
    assert len(rows(folder, "eval")) == len(rows(folder, "eval_policy")) == 2 * 5
    losses = rows(folder, "train")
    assert np.isfinite(losses["value"]).all()
    assert {"model_loss", "policy_loss", "episode_return"} <= set(losses["metric"])


# About 16 random steps, then as many updates of pretraining, then 4 steps with an update each.
NO_EVALUATION = ("--param", "seed_steps=16", "--param", "eval_every=0", *SHALLOW)
TASKS = {
    "dmc:walker-walk": ("--steps", "20"),
    "gym:Pendulum-v1": ("--steps", "20"),
    "gym:Hopper-v5": ("--num-envs", "3", "--steps", "24"),
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("member", MEMBERS)
def test_every_member_trains_on_dmc_and_gym(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, member: str, task: str
) -> None:
    without_waiting(monkeypatch)
    without_measuring(monkeypatch)
    folder = train(tmp_path / "run", member, task, *TASKS[task], *NO_EVALUATION)
    table = rows(folder, "train")
    assert np.isfinite(table["value"]).all() and "policy_loss" in set(table["metric"])


def test_the_widest_dmc_task(tmp_path: Path) -> None:
    options = ("--steps", "19", *NO_EVALUATION)
    folder = train(tmp_path / "run", "pompc_adaptive_fkl", "dmc:dog-run", *options)
    spec = run_folder.read(folder)["spec"]
    assert (spec["obs_dim"], spec["action_dim"], spec["episode_length"]) == (223, 38, 500)


@pytest.mark.parametrize("member", ["bmpc_equiv", "pompc_adaptive_fkl"])
def test_humanoid_bench(tmp_path: Path, member: str) -> None:
    options = ("--gin", "env/humanoid_bench", *SHORT, *PHASES, *SHALLOW, "--seed", "3")
    folder = tmp_path / "run"
    assert run.main(["--gin", member, *options, "--out", str(folder)]) == 0
    record = run_folder.read(folder)
    assert record["task"] == "hb:h1hand-walk"  # hbx: would name the original program
    spec = record["spec"]
    assert (spec["obs_dim"], spec["action_dim"], spec["episode_length"]) == (151, 61, 1000)
    assert np.isfinite(pd.read_csv(folder / "metrics.csv")["value"]).all()


@pytest.mark.parametrize("num_envs", [1, 3])
def test_same_seed_same_metrics(tmp_path: Path, num_envs: int) -> None:
    extra = (*SMALL, "--num-envs", str(num_envs), "--param", "TrainingOptions.log_every=7")
    first, second = (
        train(tmp_path / name, "pompc_adaptive_fkl", TOY, *extra) for name in ("first", "second")
    )
    assert (first / "metrics.csv").read_text() == (second / "metrics.csv").read_text()
    other = train(tmp_path / "other", "pompc_adaptive_fkl", TOY, *extra, "--seed", "2")
    assert (first / "metrics.csv").read_text() != (other / "metrics.csv").read_text()


def test_training_is_the_same_with_evaluation_off(tmp_path: Path, toy_run: ToyRuns) -> None:
    with_eval = toy_run("bmpc_equiv")
    without = train(tmp_path / "off", "bmpc_equiv", TOY, *SMALL, "--param", "eval_every=0")
    assert len(rows(with_eval, "eval")) and not len(rows(without, "eval"))
    pd.testing.assert_frame_equal(rows(with_eval, "train"), rows(without, "train"))
    agents = [
        torch.load(f / "checkpoints/last.pt", weights_only=True)["agent"]["modules"]
        for f in (with_eval, without)
    ]
    for name, tensors in agents[0].items():
        for key, tensor in tensors.items():
            assert torch.equal(tensor, agents[1][name][key]), (name, key)


def test_operative_config_rebuilds_the_same_run(tmp_path: Path, toy_run: ToyRuns) -> None:
    first = toy_run("pompc_kl_budget")
    arguments = ["--gin", str(first / "config.gin"), "--no-video", "--quiet"]
    assert run.main([*arguments, "--out", str(tmp_path / "second")]) == 0
    assert (first / "metrics.csv").read_text() == (tmp_path / "second/metrics.csv").read_text()


@pytest.mark.parametrize("member", MEMBERS)
def test_operative_config_parses_to_itself(member: str) -> None:
    spec = mppi_zoo.EnvSpec(5, 3, 100)
    config.parse([member, "debug"]).agent(spec)
    assert config.dead_bindings() == []
    text = config.operative_config()
    config.parse([], text.splitlines()).agent(spec)
    assert config.operative_config() == text


ERRORS = {
    "unknown member": (["--gin", "tdmpc2"], "Did you mean tdmpc2_cautious, tdmpc2_cem, tdmpc2_"),
    "a folder in a file": (["--out", f"{__file__}/run"], "/run' cannot be made ("),
    "unknown parameter": (["--param", "KLObjective.lamb=1"], "Did you mean KLObjective.lam?"),
    "float for an integer": (["--param", "batch_size=1e2"], "batch_size = 100.0, which is %batch"),
    "arguments where none are": (["--env-arg", "size=2"], "takes no arguments, and was given size"),
    "half an argument": (["--env-arg", "size"], "--env-arg size: expected NAME=VALUE"),
    "an argument of another spelling": (["--env-arg", "a=true"], "expected True, or quotes"),
    "unknown part": (["--param", "POMPCAgent.prior=@PlannerPriot"], "PlannerPrior"),
    "dead binding": (["--param", "VCritic.heads=2"], "VCritic.heads"),
    "mistyped macro": (["--param", "latnet_dim=8"], "latent_dim"),
    "negative lambda": (["--param", "KLObjective.lam=-1.0"], "KLObjective.lam = -1.0: expected"),
    "unknown task": (["--task", "dmc:walker-wallk"], "walker-walk"),
    "missing device": (["--device", "cuda:7"], "--device cuda:7"),
    "elites": (["--param", "elites=100"], "elites = 100"),
    "horizon": (["--param", "horizon=200"], "horizon = 200"),
    "steps within the seed phase": (["--steps", "10"], "steps = 10"),
    "prior without a Gaussian": (
        ["--param", "KLObjective.divergence=@AnalyticKL()"],
        "UniformPrior has no Gaussian",
    ),
    "evaluation of nothing": (["--eval"], "--init-from"),
    "sizes that are none": (["--param", "latent_dim=0"], "WorldModel.latent_dim = 0"),
    "checkpoints that are none": (
        ["--param", "TrainingOptions.checkpoints_kept=2.5"],
        "checkpoints_kept = 2.5: expected an integer",
    ),
    "a part of another kind": (["--param", "POMPCAgent.prior=@Infinite"], "gives Prior, such as"),
    "a file of another kind": (["--init-from", __file__], "not a checkpoint"),
    "missing import": (["--import", "no_such_module_of_mine"], "no_such_module_of_mine"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_name_the_offender_and_leave_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    arguments, message = ERRORS[case]
    out = tmp_path / "run"
    code = run.main(
        ["--gin", "tdmpc2_equiv", *SHORT, "--task", "toy:point", "--out", str(out), *arguments]
    )
    assert code == 2 and not out.exists()
    assert message in capsys.readouterr().err


def test_parts_from_outside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_parts.py").write_text(
        "import gin\nfrom mppi_zoo.objective.prior import PlannerPrior\n\n"
        "@gin.register\nclass MyPrior(PlannerPrior):\n    pass\n"
    )
    monkeypatch.chdir(tmp_path)
    folder = train(
        tmp_path / "run",
        "pompc_replay",
        TOY,
        *SMALL,
        "--import",
        "my_parts",
        "--param",
        "POMPCAgent.prior=@MyPrior",
    )
    assert "@MyPrior" in (folder / "config.gin").read_text()
    assert mppi_zoo.load(folder).agent.prior.__class__.__name__ == "MyPrior"


def test_show_prints_the_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--gin", "pompc_v", *SHORT, "--task", "toy:point", "--show"]) == 0
    out = capsys.readouterr().out
    assert "KLObjective.lam = 1.0" in out and "VCritic.target_steps = 1" in out


def test_import_is_quick_and_imports_no_suite() -> None:
    code = (
        "import sys, mppi_zoo; mppi_zoo.POMPCAgent; mppi_zoo.load; "
        "bad = {'mujoco', 'dm_control', 'matplotlib', 'pandas'} & set(sys.modules); "
        "sys.exit(f'imported {bad}' if bad else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_every_shipped_gin_file_has_a_header() -> None:
    for path in gin_folder().rglob("*.gin"):
        assert path.read_text().startswith("# "), path
