"""A study, and the list of its runs."""

from __future__ import annotations

import contextlib
import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mppi_zoo.core.ranges import PositiveInt, Seed, Threads
from mppi_zoo.core.registration import checked

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
        sizes = (self.members, self.tasks, self.seeds, *self.grid.values())
        runs = math.prod(map(len, sizes))
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


def expand(study: Study, parsed: bool = True) -> list[RunPlan]:
    """The runs, all of the first seed, then all of the second, and so on.

    So a study that is stopped early has all its members and tasks, with fewer seeds.

    Args:
        parsed: read the gin files, which checks them and may import modules. Else ``steps`` of the
            runs are 0 unless the study sets them.

    Raises:
        FileNotFoundError, ValueError: a file, part, parameter or macro does not exist.
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
    runs = []
    order = itertools.product(study.seeds, study.tasks, study.members, enumerate(points))
    for seed, task, member, (number, point) in order:
        settings = [f"{short[parameter]}={_slug(value)}" for parameter, value in point.items()]
        name = "_".join([_slug(member.removesuffix(".gin")), *settings, _slug(task), f"s{seed}"])
        files, params = (member, *study.gin), (*study.params, *_bindings(point))
        arguments = [
            *(word for file in files for word in ("--gin", file)),
            *(word for binding in params for word in ("--param", binding)),
            *("--task", task, "--seed", str(seed)),
            *(("--steps", str(study.steps)) if study.steps is not None else ()),
            *study.arguments,
        ]
        runs.append(RunPlan(name, tuple(arguments), steps[member, number], files, params))
    names = [run.name for run in runs]
    _refuse_repetition("runs", names)
    return runs


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


def split_values(text: str) -> tuple[str, ...]:
    """The values of a gin list such as ``[0, 0.1, @Infinite(), (1, 2)]``, each as gin text.

    Raises:
        ValueError: it is not a list in brackets.
    """
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        raise ValueError(f"expected a list of values in brackets such as [0, 0.1], not {text!r}")
    values, depth, quote, value = [], 0, "", ""
    for character in text[1:-1]:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        if character == "," and depth == 0 and not quote:
            values.append(value.strip())
            value = ""
        else:
            value += character
    if depth or quote:
        raise ValueError(f"unbalanced brackets or quotes in {text!r}")
    if value.strip():
        values.append(value.strip())
    if "" in values:
        raise ValueError(f"an empty value in {text!r}")
    return tuple(values)


def _steps(study: Study, member: str, point: Mapping[str, str], imports: Sequence[str]) -> int:
    """Agent steps of a run at this point of the grid; parses its configuration, which checks it."""
    # here, since it imports torch, which a study's jobs and its status need not wait for
    from mppi_zoo.config import gin_config as config

    bindings = [*study.params, *_bindings(point)]
    files = (member, *study.gin)
    config.check_macros(bindings, files)
    if study.steps is not None:
        bindings.append(config.set_macro("steps", study.steps))
    return config.parse(files, bindings, imports).training.steps


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
