"""How a search asks, scores and prunes; what survives a kill."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Sequence
from pathlib import Path

import pytest

from mppi_zoo.runs.lock import locked
from mppi_zoo.study import Study, journal
from mppi_zoo.study import commands as program
from mppi_zoo.study.file import study_text
from mppi_zoo.study.grid import RunPlan, cells
from mppi_zoo.study.search import Searcher, Steps
from mppi_zoo.study.space import Choice, Range, Search
from mppi_zoo.study.state import FAILED, PRUNED, WAITING, RunState, read_state
from mppi_zoo.study.trials import FILE, OPEN, SCORED, Trial

pytest.importorskip("optuna")
LAM = "KLObjective.lam"
ARGUMENTS = ("--no-video", "--quiet", "--device=cpu")


def a_study(trials: int = 6, seeds=(1, 2), **changes) -> Study:
    parameters = changes.pop("parameters", {LAM: Range(0.01, 10.0, log=True)})
    return Study(
        members=("pompc_replay",),
        tasks=("toy:point",),
        gin=("debug",),
        seeds=seeds,
        steps=80,
        params=("seed_steps=30", "eval_every=40", "iterations=1", "horizon=2"),
        arguments=ARGUMENTS,
        search=Search(parameters, **{"trials": trials, "startup": 2, **changes}),
    )


def wrote(folder: Path, run: RunPlan, values: list[float], code: int | None = 0) -> None:
    """The files of a run that was evaluated every 10 steps; it goes on if there is no code."""
    place = folder / "runs" / run.name
    place.mkdir(parents=True, exist_ok=True)
    (place / "run.json").touch()
    rows = [f"{10 * n},eval,episode_return,{value}\n" for n, value in enumerate(values, 1)]
    (place / "metrics.csv").write_text("step,split,metric,value\n" + "".join(rows))
    facts = {"job": "local:1", "steps": run.steps}
    journal.note(folder, run.name, journal.STARTED, **facts)
    if code is not None:
        journal.note(folder, run.name, journal.ENDED, code=code, again=False, **facts)


class Launcher:
    """Stands for one that starts nothing."""

    def __init__(self, study: Study, folder: Path):
        folder.mkdir(exist_ok=True)
        self.folder, self.search = folder, Searcher(study, folder, cells(study))
        self.runs = self.search.runs

    def states(self) -> list[RunState]:
        return [read_state(self.folder, run, lambda job: False) for run in self.runs]

    def step(self, idle: int = 0) -> Steps:
        steps = self.search(self.states(), idle)
        self.runs += steps.begin
        return steps

    def trials(self) -> Sequence[Trial]:
        return self.search.asked[0][1]


def test_a_score_is_the_mean_over_seeds_of_the_last_evaluations(tmp_path) -> None:
    launcher = Launcher(a_study(last=2), tmp_path / "study")
    first, second = launcher.step(idle=1).begin
    wrote(tmp_path / "study", first, [0.0, 4.0, 8.0])
    launcher.step()
    assert launcher.trials()[0].state == OPEN  # its second seed is missing
    wrote(tmp_path / "study", second, [0.0, 1.0, 2.0])
    launcher.step()
    (trial,) = launcher.trials()
    assert (trial.state, trial.score) == (SCORED, statistics.fmean([6.0, 1.5]))
    assert f"--param {LAM}={trial.values[LAM]}" in " ".join(first.arguments)


def test_a_trial_below_the_median_is_given_up_with_all_its_runs(tmp_path) -> None:
    folder = tmp_path / "study"
    launcher = Launcher(a_study(), folder)
    for level in (10.0, 20.0, 30.0):  # of seed 1, whose median at each step is 20
        for run, value in zip(launcher.step(idle=1).begin, (level, level + 100), strict=True):
            wrote(folder, run, [value, value, value])
        launcher.step()
    good, bad, tie = (launcher.step(idle=2).begin for _ in range(3))
    # seed 2 has not begun anywhere: pruning compares the first seeds alone
    wrote(folder, good[0], [21.0], code=None)
    wrote(folder, bad[0], [19.0, 19.5], code=75)
    wrote(folder, tie[0], [20.0], code=None)
    assert launcher.step().stop == [run.name for run in bad]
    states = {state.run.name: state.state for state in launcher.states()}
    assert [states[run.name] for run in bad] == [PRUNED, PRUNED]
    assert states[good[1].name] == WAITING
    assert [trial.state for trial in launcher.trials()] == [SCORED] * 3 + [OPEN, "pruned", OPEN]
    assert launcher.trials()[4].score == 19.5
    assert launcher.step().stop == []
    # a launcher that was killed before it could note and stop them does so when started again
    (folder / "journal" / f"{bad[1].name}.jsonl").unlink()
    assert Launcher(a_study(), folder).step().stop == [bad[1].name]


def test_without_pruning_or_before_the_warmup_nothing_is_given_up(tmp_path) -> None:
    for name, changes in (("off", {"prune": False}), ("early", {"warmup": 30})):
        folder = tmp_path / name
        launcher = Launcher(a_study(seeds=(1,), startup=1, **changes), folder)
        (run,) = launcher.step(idle=1).begin
        wrote(folder, run, [5.0] * 4)
        launcher.step()
        (worse,) = launcher.step(idle=1).begin
        wrote(folder, worse, [1.0, 1.0], code=None)
        assert launcher.step().stop == []


def test_a_killed_search_asks_for_nothing_twice(tmp_path) -> None:
    parameters = {LAM: Choice(("0.1", "1.0")), "horizon": Range(2, 4)}
    study, folder = a_study(6, parameters=parameters), tmp_path / "study"
    undisturbed = Launcher(study, tmp_path / "whole")
    undisturbed.step(idle=100)
    launcher = Launcher(study, folder)
    launcher.step(idle=3)
    with (folder / FILE).open("a") as file:
        file.write('{"op_code":4,"study_id"')  # it was killed in the middle of a line
    (folder / f"{FILE}.lock").touch()  # and held Optuna's lock
    again = Launcher(study, folder)
    assert again.runs == launcher.runs
    again.step(idle=100)
    assert again.trials() == undisturbed.trials()
    settings = {tuple(trial.values.values()) for trial in again.trials()}
    assert settings == {(lam, h) for lam in ("0.1", "1.0") for h in ("2", "3", "4")}
    assert len(again.runs) == 6 * 2 and again.step(idle=100).begin == []


def test_another_search_in_the_folder_is_refused(tmp_path) -> None:
    folder = tmp_path / "study"
    Launcher(a_study(), folder).step(idle=1)
    for other in ({"horizon": Range(2, 3)}, {LAM: Choice(("1", "2"))}):
        with pytest.raises(ValueError, match="trials of KLObjective.lam, and the study searches"):
            Launcher(a_study(2, parameters=other), folder)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / FILE).write_text('{"op_code": 99}\n')
    with pytest.raises(ValueError, match="search.log is no journal that Optuna can read"):
        Launcher(a_study(), damaged)
    wider = Launcher(a_study(8, parameters={LAM: Range(0.001, 20.0)}), folder)
    assert len(wider.step(idle=100).begin) > 0


def test_trials_that_all_fail_end_the_search(tmp_path) -> None:
    folder = tmp_path / "study"
    launcher = Launcher(a_study(seeds=(1,)), folder)
    for _ in range(3):
        (run,) = launcher.step(idle=1).begin
        wrote(folder, run, [], code=3)
    assert launcher.step(idle=1).begin == []
    assert {state.state for state in launcher.states()} == {FAILED}


def test_a_metric_that_no_evaluation_has_is_named(tmp_path) -> None:
    launcher = Launcher(a_study(metric="success_rate"), tmp_path / "study")
    wrote(tmp_path / "study", launcher.step(idle=1).begin[0], [1.0], code=None)
    with pytest.raises(ValueError, match="no success_rate.*have episode_return;"):
        launcher.step()


@pytest.mark.slow
def test_a_real_run_is_stopped_and_marked(tmp_path, capsys) -> None:
    study, folder = a_study(2, seeds=(1,), startup=1), tmp_path / "study"
    launcher = Launcher(study, folder)
    (run,) = launcher.step(idle=1).begin
    wrote(folder, run, [1e6] * 8)
    (folder / "study.yaml").write_text(study_text(study).replace("steps: 80", "steps: 4000"))
    journal.note(folder, run.name, journal.ENDED, job="local:1", code=0, again=False, steps=4000)
    assert program.main([str(folder), "--parallel", "1"]) == 0
    told = capsys.readouterr().out
    assert "2 of 2 trials, 1 pruned; best: t0" in told and "1 pruned, 1 done" in told
    (pruned,) = (name for name in os.listdir(folder / "runs") if "_t1_" in name)
    events = [json.loads(line) for line in journal.journal_file(folder, pruned).open()]
    assert [event["event"] for event in events] == ["started", "pruned", "ended"]
    assert events[-1]["code"] == 75
    assert (folder / "runs" / pruned / "state").is_dir()  # stopped with a checkpoint
    assert program.main(["report", str(folder)]) == 0
    page = (folder / "report" / "index.html").read_text()
    assert ">t1<" in page and ">pruned<" in page


def test_what_a_search_refuses_on_the_command_line(tmp_path, capsys, monkeypatch) -> None:
    out = tmp_path / "out"
    given = ["--gin", "pompc_replay", "--gin", "debug", "--tasks", "toy:point", "--out", str(out)]
    search = ["--search", f"{LAM}={{low: 0.1, high: 1}}"]
    for arguments, message in (
        (search, "search: trials missing"),
        (["--trials", "3"], "search: parameters missing"),
        (["--search", LAM], "expected NAME=RANGE"),
        ([*search, "--trials", "3", "--slurm", "--time", "300"], "--slurm: a search asks"),
    ):
        assert program.main([*given, *arguments]) == 2
        assert message in capsys.readouterr().err and not out.exists()
    assert program.main([*given, *search, "--trials", "3", "--dry-run"]) == 0
    assert "3 runs, 360 agent steps" in capsys.readouterr().out
    out.mkdir()
    with locked(out, "search"):
        assert program.main([*given, *search, "--trials", "3"]) == 2
        assert not (out / "study.yaml").exists()
    assert "search folder" in capsys.readouterr().err
    monkeypatch.setattr("mppi_zoo.core.extras._installed", lambda name: name != "optuna")
    assert program.main([*given, *search, "--trials", "3"]) == 2
    assert "pip install 'mppi_zoo[sweep]'" in capsys.readouterr().err
