"""Steers a study's searches: asks for trials while there is room, tells scores, prunes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from mppi_zoo.runs import reader
from mppi_zoo.study import journal
from mppi_zoo.study.grid import Cell, RunPlan, Study
from mppi_zoo.study.space import Search
from mppi_zoo.study.state import FAILED, FINISHED, PRUNED, RunState
from mppi_zoo.study.trials import OPEN, SCORED, Trial, Trials, plans, repair
from mppi_zoo.study.trials import PRUNED as TRIAL_PRUNED

# So many trials that failed while none was scored: the rest would fail too.
TOO_MANY = 3

Curve = Mapping[int, float]  # agent step -> metric of the evaluation there


class Curves:
    """Learning curves of a study's runs, read from ``metrics.csv`` whenever that has grown."""

    def __init__(self, folder: Path, metric: str):
        self.folder, self.metric = folder, metric
        self._read: dict[str, tuple[int, Curve]] = {}

    def __call__(self, run: str) -> Curve:
        """The evaluations of a run so far.

        Raises:
            ValueError: they lack the metric.
        """
        place = Path("runs") / run / "metrics.csv"
        if not reader.exists(self.folder, place):
            return {}
        size = (self.folder / place).stat().st_size
        if self._read.get(run, (-1, {}))[0] != size:
            self._read[run] = size, self._curve(place)
        return self._read[run][1]

    def _curve(self, place: Path) -> Curve:
        found: dict[str, dict[int, float]] = {}
        for line in reader.read_lines(self.folder, place):
            step, split, metric, value = (*line.split(","), "", "", "")[:4]
            if split == "eval" and step.isdigit():
                number = float(value)
                found.setdefault(metric, {})[int(step)] = -math.inf if number != number else number
        if found and self.metric not in found:
            raise ValueError(
                f"{self.folder / place} has no {self.metric}, which the search asks for: its "
                f"evaluations have {', '.join(found)}; the environment does not say whether its "
                "task is solved, so set metric: episode_return"
            )
        return found.get(self.metric, {})


def mean_curve(curves: Sequence[Curve]) -> dict[int, float]:
    """The mean at the steps that all curves have."""
    shared = set.intersection(*map(set, curves)) if curves else set()
    return {step: fmean(curve[step] for curve in curves) for step in sorted(shared)}


def score(curves: Sequence[Curve], last: int) -> float:
    """A trial's score: the mean over seeds of the mean of each run's last evaluations."""
    return fmean(fmean([*curve.values()][-last:]) for curve in curves)


class Steps(NamedTuple):
    """What a launcher is to do next: runs to begin, names of runs to stop."""

    begin: list[RunPlan]
    stop: list[str]


class Searcher:
    """The searches of a study, one for each cell; at most one process has them at a time.

    Args:
        study: has a search.
        folder: the study's; what is asked and told is in ``search.log`` there.
        rows: the study's cells.
    """

    def __init__(self, study: Study, folder: Path, rows: Sequence[Cell]):
        assert study.search is not None
        self.study, self.folder, self.search = study, folder, study.search
        repair(folder)
        self.cells = [(c, Trials(folder, c, study.search, begin=True)) for c in rows]
        self._curve = Curves(folder, study.search.metric)
        self._given_up: set[str] = set()
        self._decided: dict[tuple[str, int], tuple[object, ...]] = {}

    @property
    def runs(self) -> list[RunPlan]:
        """The runs of all trials that were asked."""
        return runs_of(self.study, self.asked)

    @property
    def asked(self) -> Asked:
        """The trials of each cell."""
        return [(cell, trials.all()) for cell, trials in self.cells]

    def __call__(self, states: Sequence[RunState], idle: int) -> Steps:
        """Tell what has ended, and say what to do next.

        Args:
            states: of :attr:`runs`.
            idle: places where nothing runs or waits to run.
        """
        by_name = {state.run.name: state for state in states}
        begin: list[RunPlan] = []
        stop: list[str] = []
        for cell, trials in self.cells:
            for trial in trials.all():
                if trial.state == OPEN:
                    self._follow(cell, trials, trial, by_name)
            for trial in trials.all():
                if trial.state == TRIAL_PRUNED:
                    stop += self._give_up(plans(self.study, cell, trial), by_name)
        while idle > len(begin):
            runs = self._next(by_name)
            if not runs:
                break
            begin += runs
        return Steps(begin, stop)

    def _follow(
        self, cell: Cell, trials: Trials, trial: Trial, states: Mapping[str, RunState]
    ) -> None:
        """Tell a trial's score if all its runs have ended; prune it if it does badly."""
        # those that have begun, of which the last may have no evaluation yet
        runs = [states[run.name] for run in plans(self.study, cell, trial)]
        begun = [number for number, state in enumerate(runs) if state.attempts]
        curves = [self._curve(runs[number].run.name) for number in begun]
        if not curves or not all(curves):
            return
        if len(begun) == len(runs) and all(state.state == FINISHED for state in runs):
            trials.tell(trial.number, mean_curve(curves), score(curves, self.search.last))
            return
        curve = mean_curve(curves)
        if not self.search.prune or not curve:
            return
        # the others' curves over the same seeds, as far as this trial's
        ended = [other for other in trials.all() if other.state == SCORED]
        question = (tuple(begun), max(curve), len(ended))
        if self._decided.get((cell.name, trial.number)) == question:
            return
        self._decided[cell.name, trial.number] = question
        others = []
        for other in ended:
            names = [run.name for run in plans(self.study, cell, other)]
            others.append((mean_curve([self._curve(names[n]) for n in begun]), other.score or 0.0))
        if trials.hopeless(curve, others):
            trials.tell(trial.number, curve, None)

    def _give_up(self, runs: Sequence[RunPlan], states: Mapping[str, RunState]) -> list[str]:
        """Mark the unfinished runs of a pruned trial; returns those to stop."""
        given_up = []
        for run in runs:
            if run.name in self._given_up:
                continue
            self._given_up.add(run.name)
            if states[run.name].state in (FINISHED, PRUNED):
                continue
            journal.note(self.folder, run.name, journal.PRUNED, job="search", steps=run.steps)
            given_up.append(run.name)
        return given_up

    def _next(self, states: Mapping[str, RunState]) -> list[RunPlan]:
        """The runs of a new trial, in the cell with the fewest; none if no cell takes one."""
        cell, trials = min(self.cells, key=lambda item: len(item[1].all()))
        found = trials.all()
        if len(found) >= self.search.trials or self._fails(cell, found, states):
            return []
        return plans(self.study, cell, trials.ask())

    def _fails(self, cell: Cell, trials: Sequence[Trial], states: Mapping[str, RunState]) -> bool:
        failed = sum(
            any(
                run.name in states and states[run.name].state == FAILED
                for run in plans(self.study, cell, trial)
            )
            for trial in trials
        )
        return failed >= TOO_MANY and not any(trial.state == SCORED for trial in trials)


Asked = Sequence[tuple[Cell, Sequence[Trial]]]  # the trials of each cell


def asked(study: Study, folder: Path, rows: Sequence[Cell]) -> Asked:
    """The trials of each of these cells that were asked so far; changes nothing."""
    search = study.search
    if search is None:
        return []
    return [(cell, Trials(folder, cell, search).all()) for cell in rows]


def runs_of(study: Study, found: Asked) -> list[RunPlan]:
    """The runs of these trials."""
    return [run for cell, trials in found for one in trials for run in plans(study, cell, one)]


def best(trials: Sequence[Trial]) -> Trial | None:
    """The scored trial with the highest score; None before the first."""
    scored = [trial for trial in trials if trial.state == SCORED]
    return max(scored, key=lambda trial: trial.score or 0.0, default=None)


def summaries(search: Search, found: Asked) -> list[str]:
    """A line for each cell: how far its search is, and its best trial."""
    lines = []
    for cell, trials in found:
        pruned, top = sum(trial.state == TRIAL_PRUNED for trial in trials), best(trials)
        line = f"{cell.name}: {len(trials)} of {search.trials} trials, {pruned} pruned"
        if top is not None:
            values = " ".join(f"{name}={value}" for name, value in top.values.items())
            line += f"; best: t{top.number} with {search.metric} {top.score:,.4g}: {values}"
        lines.append(line)
    return lines
