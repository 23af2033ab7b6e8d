"""What in a run's metrics tells that it no longer learns: said by the run, marked by the report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

RISES = 3  # evaluations in a row that over-estimate more than the one before
NO_GRADIENT = 1e-3  # norm; 3e-4 where a policy died, 0.002 and more in healthy runs
MOST_AT_BOUND, LEAST_SPREAD = 0.9, 0.02
LEAST_RECALL = 0.5


class Alarm(NamedTuple):
    """One finding."""

    step: int  # of the evaluation at which it held
    name: str  # short, the same for all findings of a kind
    text: str  # with the numbers, and what to look at


class Measured(NamedTuple):
    """A row of ``metrics.csv``."""

    step: int
    split: str
    metric: str
    value: float


def alarms(rows: Iterable[Measured]) -> list[Alarm]:
    """All findings in the rows of a run, by step; rows may be in any order.

    * the policy saturates: its std is at its bound, or its action hardly depends on the state, and
      its gradient is next to 0;
    * the over-estimation rises at three evaluations in a row and exceeds the return itself;
    * at two evaluations in a row the model saw less than half of the ends that happened.
    """
    series: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        series.setdefault((row.split, row.metric), {})[row.step] = row.value
    found = [*_saturated(series), *_overestimating(series), *_missed(series)]
    return sorted(found)


Series = dict[tuple[str, str], dict[int, float]]


def _diagnostic(series: Series, metric: str) -> dict[int, float]:
    return dict(sorted(series.get(("diagnostic", metric), {}).items()))


def _saturated(series: Series) -> Iterable[Alarm]:
    norms = series.get(("train", "policy_grad_norm"), {})
    spreads = _diagnostic(series, "policy_action_spread")
    for step, at_bound in _diagnostic(series, "policy_std_at_bound").items():
        before = [at for at in norms if at <= step]
        norm, spread = norms[max(before)] if before else 1.0, spreads.get(step, 1.0)
        if norm < NO_GRADIENT and (at_bound > MOST_AT_BOUND or spread < LEAST_SPREAD):
            yield Alarm(
                step,
                "policy saturates",
                f"the policy saturates: its std is at its bound at {100 * at_bound:.0f} % of the "
                f"states, its action varies by {spread:.2g} over them, and its gradient's norm is "
                f"{norm:.1g}; see docs/terminations.md, KLObjective.entropy",
            )


def _overestimating(series: Series) -> Iterable[Alarm]:
    excess, earned = _diagnostic(series, "overestimation"), _diagnostic(series, "value_return")
    steps = list(excess)
    for last in range(RISES, len(steps)):
        values = [excess[step] for step in steps[last - RISES : last + 1]]
        rises = all(low < high for low, high in zip(values, values[1:], strict=False))
        step = steps[last]
        if rises and values[-1] > abs(earned.get(step, float("inf"))):
            yield Alarm(
                step,
                "over-estimation grows",
                f"the critic over-estimates more and more: {', '.join(f'{v:.3g}' for v in values)} "
                f"at the last {RISES + 1} evaluations, where the discounted return is "
                f"{earned[step]:.3g}; see docs/terminations.md, Experiment.past_the_end",
            )


def _missed(series: Series) -> Iterable[Alarm]:
    recalls = _diagnostic(series, "termination_recall")
    steps = list(recalls)
    for before, step in zip(steps, steps[1:], strict=False):
        if max(recalls[before], recalls[step]) < LEAST_RECALL:
            yield Alarm(
                step,
                "ends are missed",
                f"the model sees {100 * recalls[step]:.0f} % of the ends that happened, so that "
                "plans go on after them; see docs/terminations.md, WorldModel.terminal_weight",
            )
