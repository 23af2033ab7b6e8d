"""The trials of a study's searches: what was asked and told, in Optuna's journal ``search.log``.

Each member, task and point of the grid has an Optuna study of its own in the file, named as its
:class:`~mppi_zoo.study.grid.Cell`; so Optuna's own tools can read it. A trial is written whole, by
one line: it is drawn from a copy in memory, so that a kill leaves no half of one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mppi_zoo.core.extras import require
from mppi_zoo.runs import reader
from mppi_zoo.study.grid import Cell, RunPlan, Study, plan
from mppi_zoo.study.space import Choice, Range, Search

FILE = "search.log"
OPEN, SCORED, PRUNED = "open", "scored", "pruned"
DRAWS = 1000  # at random, where the sampler proposes a setting that was tried already


class Trial(NamedTuple):
    """A setting that a search tries.

    Attributes:
        number: of the trial in its cell, from 0.
        values: parameter -> value, as gin text.
        state: OPEN while its runs go on, then SCORED or PRUNED.
        score: of an ended trial; of a pruned one its last mean over seeds.
    """

    number: int
    values: Mapping[str, str]
    state: str
    score: float | None


def plans(study: Study, cell: Cell, trial: Trial) -> list[RunPlan]:
    """A trial's runs, one for each seed."""
    return [plan(study, cell, seed, trial.number, trial.values) for seed in study.seeds]


class Trials:
    """The trials of one cell.

    Args:
        folder: the study's.
        cell: whose trials.
        search: what is searched.
        begin: make the file and the cell's study in it where they are missing.

    Raises:
        ImportError: Optuna is not installed; has the command that installs it.
        ValueError: the file holds trials of another search, or is none that Optuna wrote.
    """

    def __init__(self, folder: Path, cell: Cell, search: Search, begin: bool = False):
        require("sweep")
        import optuna
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._search, path = optuna, search, folder / FILE
        self._domains = {name: _domain(d, optuna) for name, d in search.parameters.items()}
        self._study: Any = None
        if not (begin or os.path.lexists(path)):
            return
        if os.path.lexists(path):
            reader.open_file(folder, FILE).close()  # neither a link to elsewhere nor a pipe
        lock = JournalFileOpenLock(str(path))
        try:
            self._storage = optuna.storages.JournalStorage(JournalFileBackend(str(path), lock))
            names = [one.study_name for one in self._storage.get_all_studies()]
            if begin and cell.name not in names:
                self._study = optuna.create_study(
                    storage=self._storage, study_name=cell.name, direction="maximize"
                )
            elif cell.name in names:
                self._study = optuna.load_study(storage=self._storage, study_name=cell.name)
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            raise ValueError(
                f"{path} is no journal that Optuna can read ({error}): restore or delete it"
            ) from error
        self._check(path)

    def _check(self, path: Path) -> None:
        for trial in self._frozen():
            now, then = self._domains, trial.distributions
            same = set(now) == set(then) and all(
                isinstance(now[name], type(then[name])) and _choices(now[name]) == _choices(one)
                for name, one in then.items()
            )
            if not same:
                raise ValueError(
                    f"{path} has trials of {', '.join(map(str, then)) or 'nothing'}, and the study "
                    f"searches {', '.join(now)}: trials of another search say nothing about this "
                    "one; name another --out"
                )

    def _frozen(self) -> list[Any]:
        return [] if self._study is None else self._study.get_trials(deepcopy=False)

    def all(self) -> list[Trial]:
        """All trials, in the order in which they were asked."""
        states = self._optuna.trial.TrialState
        names = {states.COMPLETE: SCORED, states.PRUNED: PRUNED}
        return [
            Trial(
                trial.number,
                {name: _text(value) for name, value in trial.params.items()},
                names.get(trial.state, OPEN),
                trial.value if trial.state in names else None,
            )
            for trial in self._frozen()
        ]

    def ask(self) -> Trial:
        """Draw a setting that was not tried, and note it."""
        known = self._frozen()
        seed = np.random.SeedSequence([self._search.seed, len(known)]).generate_state(DRAWS + 1)
        tried = [trial.params for trial in known]
        samplers, startup = self._optuna.samplers, self._search.startup
        # of trials that go on it expects no good score, so that it tries other settings
        sampler = samplers.TPESampler(
            seed=int(seed[0]), n_startup_trials=startup, constant_liar=True
        )
        values = self._draw(sampler, known)
        for other in seed[1:]:
            if values not in tried:
                break
            values = self._draw(samplers.RandomSampler(seed=int(other)), [])
        template = self._optuna.trial.create_trial(
            state=self._optuna.trial.TrialState.RUNNING, params=values, distributions=self._domains
        )
        self._study.add_trial(template)
        return self.all()[-1]

    def _draw(self, sampler: Any, known: Sequence[Any]) -> dict[str, Any]:
        copy = self._optuna.create_study(direction="maximize", sampler=sampler)
        copy.add_trials(known)
        drawn = copy.ask(self._domains).params
        # four digits say as much, and make settings that can be read and written down
        return {name: _rounded(value, self._domains[name]) for name, value in drawn.items()}

    def hopeless(
        self, curve: Mapping[int, float], others: Sequence[tuple[Mapping[int, float], float]]
    ) -> bool:
        """Whether a trial with this learning curve is to be pruned.

        Args:
            curve: agent step -> mean of the metric over seeds.
            others: the curves of the scored trials, over the same seeds, and their scores.
        """
        trial, study = self._optuna.trial, self._optuna.create_study(direction="maximize")
        for values, score in others:
            study.add_trial(trial.create_trial(value=score, intermediate_values=dict(values)))
        running = trial.create_trial(
            state=trial.TrialState.RUNNING, intermediate_values=dict(curve)
        )
        pruner = self._optuna.pruners.MedianPruner(self._search.startup, self._search.warmup)
        return pruner.prune(study, running)

    def tell(self, number: int, curve: Mapping[int, float], score: float | None) -> None:
        """Note the end of a trial.

        Args:
            curve: agent step -> mean of the metric over seeds.
            score: its score; None: it was pruned.
        """
        storage = self._storage
        where = storage.get_trial_id_from_study_id_trial_number(
            storage.get_study_id_from_name(self._study.study_name), number
        )
        for step, value in curve.items():
            storage.set_trial_intermediate_value(where, step, value)
        state = self._optuna.trial.TrialState.PRUNED if score is None else None
        self._study.tell(number, score, state)


def _domain(domain: Range | Choice, optuna: Any) -> Any:
    """The values of a parameter in Optuna's terms."""
    if isinstance(domain, Choice):
        return optuna.distributions.CategoricalDistribution(domain.values)
    kind = "IntDistribution" if domain.whole else "FloatDistribution"
    return getattr(optuna.distributions, kind)(domain.low, domain.high, log=domain.log)


def _rounded(value: Any, distribution: Any) -> Any:
    if not isinstance(value, float):
        return value
    return min(max(float(f"{value:.4g}"), distribution.low), distribution.high)


def _choices(distribution: Any) -> Any:
    return getattr(distribution, "choices", None)


def _text(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def repair(folder: Path) -> None:
    """Remove what a killed writer left: an incomplete last line, and Optuna's lock.

    Only the launcher that holds the study's lock may call it.
    """
    path = folder / FILE
    if not os.path.lexists(path):
        return
    with reader.open_file(folder, FILE) as file:
        content = file.read()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
    Path(f"{path}.lock").unlink(missing_ok=True)
