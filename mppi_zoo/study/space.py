"""What a study searches: ranges of parameters, how many trials, when a trial is given up."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from mppi_zoo.core.nearest import did_you_mean, nearest
from mppi_zoo.core.ranges import Count, Seed, Size
from mppi_zoo.core.registration import checked


@checked
@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; integers where both ends are.

    Attributes:
        low: the smallest.
        high: the largest.
        log: whether the logarithm is drawn evenly: 0.01 to 0.1 as often as 0.1 to 1.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"low = {self.low} and high = {self.high}: expected low below high")
        if self.log and self.low <= 0:
            raise ValueError(f"low = {self.low} with log: true: expected a number above 0")

    @property
    def whole(self) -> bool:
        """Whether these are integers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def ends(self) -> tuple[str, ...]:
        """The values, as gin text, that a configuration must take for all others to be taken."""
        return repr(self.low), repr(self.high)

    @property
    def size(self) -> float:
        """How many values there are."""
        return self.high - self.low + 1 if self.whole else math.inf

    def __str__(self) -> str:
        return f"{self.low} to {self.high}{', log' if self.log else ''}"


@checked
@dataclass(frozen=True)
class Choice:
    """One of several values.

    Attributes:
        values: as gin text.
    """

    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.values)) < max(2, len(self.values)):
            raise ValueError(f"{', '.join(self.values) or 'no value'}: expected two or more values")

    @property
    def ends(self) -> tuple[str, ...]:
        """As :attr:`Range.ends`: all values."""
        return self.values

    @property
    def size(self) -> float:
        """How many values there are."""
        return len(self.values)

    def __str__(self) -> str:
        return " or ".join(self.values)


@checked
@dataclass(frozen=True)
class Search:
    """Parameters to search, for each member, task and point of the grid.

    Attributes:
        parameters: gin parameter -> the values that are tried.
        trials: settings tried for each member and task; a trial has a run for each seed.
        startup: trials drawn at random before the sampler learns from their scores, and trials
            that must have ended before any is pruned.
        prune: whether trials are given up that do worse than half of the ended ones did at that
            step (the median rule of Golovin et al. 2017, "Google Vizier").
        warmup: agent steps before which no trial is pruned.
        metric: of the evaluations, larger is better; a trial's score is its mean over seeds.
        last: how many of the last evaluations the score averages.
        seed: of the sampler.
    """

    parameters: Mapping[str, Range | Choice]
    trials: Size
    startup: Count = 5
    prune: bool = True
    warmup: Count = 0
    metric: Literal["episode_return", "success_rate", "success_at_end"] = "episode_return"
    last: Size = 1
    seed: Seed = 0

    def __post_init__(self) -> None:
        if not self.parameters:
            raise ValueError("parameters: none; name at least one with its range")
        points = math.prod(domain.size for domain in self.parameters.values())
        if self.trials > points:
            raise ValueError(
                f"trials = {self.trials}: the parameters have {points} settings; lower trials, or "
                "name all values under grid instead"
            )


def read_search(content: object) -> Search:
    """A search from the YAML under ``search``.

    Raises:
        ValueError: it does not describe one; names the entry.
    """
    content = _entries("a search", content, [entry.name for entry in fields(Search)])
    lacking = [name for name in ("parameters", "trials") if name not in content]
    if lacking:
        raise ValueError(f"{' and '.join(lacking)} missing")
    parameters = content["parameters"]
    if not isinstance(parameters, Mapping):
        raise ValueError(f"parameters = {parameters!r}: expected parameters and their ranges")
    domains = {str(name): read_domain(str(name), value) for name, value in parameters.items()}
    return Search(**{**content, "parameters": domains})


def read_domain(name: str, value: object) -> Range | Choice:
    """The values of a parameter: a list of some, or a range ``{low: 0.1, high: 10, log: true}``.

    Raises:
        ValueError: it is neither; names the parameter.
    """
    try:
        if isinstance(value, Sequence) and not isinstance(value, str):
            return Choice(tuple(v if isinstance(v, str) else repr(v) for v in value))
        known = [entry.name for entry in fields(Range)]
        entries = _entries("a range", value, known)
        # YAML takes 1e-3, without a dot, for text
        numbers = {key: _number(entries[key]) for key in ("low", "high") if key in entries}
        return Range(**{**entries, **numbers})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error


def _number(value: Any) -> Any:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return float(value)
    return value


def _entries(what: str, content: object, known: Sequence[str]) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise ValueError(f"{content!r}: expected {what} with {', '.join(known)}")
    for name in content:
        if name not in known:
            asked = did_you_mean(nearest(str(name), known))
            raise ValueError(f"unknown {name}; {what} has {', '.join(known)}.{asked}")
    return dict(content)


def search_content(search: Search) -> dict[str, Any]:
    """The search for a YAML file, from which :func:`read_search` gives an equal one."""
    content = {entry.name: getattr(search, entry.name) for entry in fields(search)}
    content["parameters"] = {
        name: list(domain.values)
        if isinstance(domain, Choice)
        else {"low": domain.low, "high": domain.high, "log": domain.log}
        for name, domain in search.parameters.items()
    }
    return content
