"""A study, and the list of its runs."""

from __future__ import annotations

import contextlib
import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mppi_zoo.core.ranges import PositiveInt, Seed, Threads
from mppi_zoo.core.registration import checked
from mppi_zoo.study.space import Search

MOST_RUNS = 100_000


@checked
@dataclass(frozen=True)
class Study:
    """Members x tasks x grid x seeds.

    Attributes:
        members: gin files, by name or path; each run has one of them, as its first file.
        gin: further files of every run, such as ``scale/laptop``.
        tasks: such as ``dmc:walker-walk``.
        seeds: of the runs.
        grid: gin parameter -> the values it takes, as gin text.
        params: bindings of every run.
        steps: agent steps; None: as in the gin files.
        arguments: further options of ``mppi_zoo.run`` for every run, such as ``--compile``.
        threads: CPU threads of one run. Part of the study, since the last digits of results depend
            on it.
        title: title of the report.
        search: parameters whose values are searched, each member, task and point of the grid for
            itself; None: none.
    """

    members: tuple[str, ...]
    tasks: tuple[str, ...]
    gin: tuple[str, ...] = ()
    seeds: tuple[Seed, ...] = (1,)
    grid: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    params: tuple[str, ...] = ()
    steps: PositiveInt | None = None
    arguments: tuple[str, ...] = ()
    threads: Threads = 1
    title: str = ""
    search: Search | None = None

    def __post_init__(self) -> None:
        for name in ("members", "tasks", "seeds"):
            values = getattr(self, name)
            if not values:
                raise ValueError(f"a study without {name}: name at least one")
            _refuse_repetition(name, values)
        for parameter, values in self.grid.items():
            if not values:
                raise ValueError(f"the grid gives {parameter} no values: list at least one")
            _refuse_repetition(f"the grid's {parameter}", values)
        for argument in self.arguments:
            option = argument.split("=")[0]
            if option in TAKEN:
                raise ValueError(f"arguments: {argument}: {TAKEN[option]}")
        searched = () if self.search is None else self.search.parameters
        _refuse_repetition("grid and search", [*self.grid, *searched])
        sizes = (self.members, self.tasks, self.seeds, *self.grid.values())
        runs = math.prod(map(len, sizes)) * (1 if self.search is None else self.search.trials)
        if runs > MOST_RUNS:
            raise ValueError(f"the study has {runs:,} runs, expected at most {MOST_RUNS:,}")


# Options of mppi_zoo.run that a study sets itself.
TAKEN = {
    "--gin": "name files under members and gin",
    "--param": "name bindings under params, or under grid if they vary",
    "--task": "name them under tasks",
    "--seed": "name them under seeds",
    "--steps": "set steps",
    "--out": "a study names its run folders",
    "--resume": "a study resumes its runs by itself",
    "--continue": "a study continues its runs by itself",
    "--eval": "a study trains",
    "--trust": "give it to the command that runs the study",
    "-h": "see python -m mppi_zoo.run --help",
    "--help": "see python -m mppi_zoo.run --help",
    "--version": "see mppi-zoo --version",
    "--show": "try the command of one run, which --dry-run prints",
}


@dataclass(frozen=True)
class RunPlan:
    """One run of a study.

    Attributes:
        name: of its folder; unique in the study.
        arguments: options of ``mppi_zoo.run``, without the folder.
        steps: agent steps to train.
        gin: its gin files.
        params: its gin bindings.
    """

    name: str
    arguments: tuple[str, ...]
    steps: int
    gin: tuple[str, ...]
    params: tuple[str, ...]


class Cell(NamedTuple):
    """A member with a point of the grid on a task: what has one run a seed, or one search.

    Attributes:
        name: unique in the study.
        member: its gin file.
        task: name of the environment.
        point: parameter -> value, as gin text.
        steps: agent steps of its runs.
    """

    name: str
    member: str
    task: str
    point: Mapping[str, str]
    steps: int


def expand(study: Study, parsed: bool = True) -> list[RunPlan]:
    """The runs, all of the first seed, then all of the second, and so on.

    So a study that is stopped early has all its members and tasks, with fewer seeds. The runs of a
    search are in :mod:`mppi_zoo.study.trials`: which ones there are depends on their scores.

    Args:
        parsed: as of :func:`cells`.

    Raises:
        FileNotFoundError, ValueError: as :func:`cells`.
    """
    return planned(study, cells(study, parsed))


def planned(study: Study, rows: Sequence[Cell]) -> list[RunPlan]:
    """:func:`expand`, of cells that are known."""
    if study.search is not None:
        return []
    return [plan(study, cell, seed) for seed in study.seeds for cell in rows]


def cells(study: Study, parsed: bool = True) -> list[Cell]:
    """Members x tasks x grid, task by task.

    Args:
        parsed: read the gin files, which checks them and may import modules. Else ``steps`` of the
            runs are 0 unless the study sets them.

    Raises:
        FileNotFoundError, ValueError: a file, part, parameter or macro does not exist, or two runs
            would have one name.
    """
    # here, since it imports torch, which a study's jobs and its status need not wait for
    from mppi_zoo.cli.arguments import Refusing, parser

    try:
        options = parser(Refusing).parse_args(study.arguments)
    except ValueError as error:
        raise ValueError(f"arguments: {error}") from error
    if parsed:
        _check_tasks(study.tasks)
    short = short_names(study.grid)
    points = [
        dict(zip(study.grid, values, strict=True))
        for values in itertools.product(*study.grid.values())
    ]
    steps = {}
    for member, (number, point) in itertools.product(study.members, enumerate(points)):
        steps[member, number] = (
            _steps(study, member, point, options.imports or []) if parsed else study.steps or 0
        )
    found = []
    for task, member, (number, point) in itertools.product(
        study.tasks, study.members, enumerate(points)
    ):
        settings = [f"{short[parameter]}={_slug(value)}" for parameter, value in point.items()]
        name = "_".join([_slug(member.removesuffix(".gin")), *settings, _slug(task)])
        found.append(Cell(name, member, task, point, steps[member, number]))
    _refuse_repetition("runs", [cell.name for cell in found])
    return found


def plan(
    study: Study, cell: Cell, seed: int, number: int | None = None, values: Mapping[str, str] = {}
) -> RunPlan:
    """A run of a cell.

    Args:
        number: of the trial, for a search.
        values: parameter -> value of the trial, as gin text.
    """
    files = (cell.member, *study.gin)
    params = (*study.params, *_bindings({**cell.point, **values}))
    arguments = [
        *(word for file in files for word in ("--gin", file)),
        *(word for binding in params for word in ("--param", binding)),
        *("--task", cell.task, "--seed", str(seed)),
        *(("--steps", str(study.steps)) if study.steps is not None else ()),
        *study.arguments,
    ]
    trial = "" if number is None else f"_t{number}"
    return RunPlan(f"{cell.name}{trial}_s{seed}", tuple(arguments), cell.steps, files, params)


def _check_tasks(tasks: Sequence[str]) -> None:
    """Refuse tasks that no suite has; where a suite is not installed, the runs will say so."""
    # here, since it imports gymnasium, which a study's jobs and its status need not wait for
    from mppi_zoo.envs import registry

    for task in tasks:
        with contextlib.suppress(ImportError):
            registry.check_name(task)


def numbered(count: int) -> tuple[int, ...]:
    """The seeds 1 to ``count``.

    Raises:
        ValueError: there are none, or more than a study can have runs.
    """
    if not 1 <= count <= MOST_RUNS:
        raise ValueError(f"seeds = {count}: expected at least 1 and at most {MOST_RUNS:,}")
    return tuple(range(1, count + 1))


def _steps(study: Study, member: str, point: Mapping[str, str], imports: Sequence[str]) -> int:
    """Agent steps of a run at this point of the grid; parses its configuration, which checks it.

    Of a search all ends of the parameters' ranges are checked, one parameter at a time.

    Raises:
        ValueError: also, a search would never see a score.
    """
    # here, since it imports torch, which a study's jobs and its status need not wait for
    from mppi_zoo.config import gin_config as config

    def training(values: Mapping[str, str]) -> config.TrainingOptions:
        bindings, files = [*study.params, *_bindings({**point, **values})], (member, *study.gin)
        config.check_macros(bindings, files)
        if study.steps is not None:
            bindings.append(config.set_macro("steps", study.steps))
        return config.parse(files, bindings, imports).training

    searched = {} if study.search is None else study.search.parameters
    first = {name: domain.ends[0] for name, domain in searched.items()}
    for name, domain in searched.items():
        for end in domain.ends[1:]:
            training({**first, name: end})
    options = training(first)
    if searched and not options.eval_every:
        raise ValueError("search: eval_every = 0 switches off evaluations, which give its scores")
    return options.steps


def _bindings(point: Mapping[str, str]) -> list[str]:
    return [f"{parameter}={value}" for parameter, value in point.items()]


def short_names(parameters: Mapping[str, object]) -> dict[str, str]:
    """The last word of each parameter's name where it is unique, else the whole name."""
    last = {name: name.rsplit(".", 1)[-1] for name in parameters}
    seen = list(last.values())
    return {name: short if seen.count(short) == 1 else name for name, short in last.items()}


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", text).strip("-") or "empty"


def _refuse_repetition(what: str, values: Sequence[object]) -> None:
    twice = sorted(str(value) for value, count in Counter(values).items() if count > 1)
    if twice:
        raise ValueError(f"{what}: {', '.join(twice)} more than once; each may be there once")
