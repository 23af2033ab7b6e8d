"""Statistics for few runs on several tasks, as pure functions of arrays.

Source: Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical
Precipice" (NeurIPS 2021). Scores are one array per task, [runs]. The bootstrap is stratified: it
draws runs within each task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Scores = Sequence[np.ndarray]  # one [runs] per task
FEWEST_FOR_INTERVAL = 3


class Estimate(NamedTuple):
    """A point estimate with its interval; arrays where the statistic is an array."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def checked(scores: Scores) -> list[np.ndarray]:
    """The scores as float arrays.

    Raises:
        ValueError: no task, a task without runs, or a score that is not finite.
    """
    arrays = [np.asarray(task, dtype=np.float64).reshape(-1) for task in scores]
    if not arrays or any(task.size == 0 for task in arrays):
        raise ValueError("scores need one run or more for each of one task or more")
    if not all(np.isfinite(task).all() for task in arrays):
        raise ValueError("a score is not finite; leave that run out explicitly and say so")
    return arrays


def mean_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Student's interval of the mean of independent runs [n]; (nan, nan) for fewer than 3.

    The interval of two runs would be too wide to be of use.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size < FEWEST_FOR_INTERVAL:
        return float("nan"), float("nan")
    from scipy import stats  # a second, which reports without intervals need not wait for

    half = stats.t.ppf(0.5 + level / 2, values.size - 1) * stats.sem(values)
    return float(values.mean() - half), float(values.mean() + half)


def task_mean(scores: np.ndarray) -> np.ndarray:
    """Mean over the last two axes, [..., tasks, runs] -> [...]."""
    return scores.mean((-2, -1))


def iqm(scores: np.ndarray) -> np.ndarray:
    """Interquartile mean over tasks and runs together, [..., tasks, runs] -> [...].

    The mean of the middle half: a quarter of the scores, rounded down, is left out at either end.
    """
    flat = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = flat.shape[-1] // 4
    return flat[..., cut : flat.shape[-1] - cut].mean(-1)


def performance_profile(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Share of runs above each threshold: [..., tasks, runs], [n] -> [..., n]."""
    above = scores[..., None, :, :] > thresholds[:, None, None]
    return above.mean((-2, -1))


def improvement(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """P(X > Y) + P(X = Y)/2, mean over tasks: [..., tasks, n], [..., tasks, m] -> [...]."""
    one, two = ours[..., :, None], theirs[..., None, :]
    return ((one > two) + 0.5 * (one == two)).mean((-3, -2, -1))


def area_under_curve(steps: np.ndarray, values: np.ndarray) -> float:
    """Mean of a curve over its steps, by the trapezoid rule, in the values' unit.

    Raises:
        ValueError: fewer than two steps, or steps that do not increase.
    """
    steps, values = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if steps.size < 2 or (np.diff(steps) <= 0).any():
        raise ValueError(f"{steps.size} steps: expected two or more, in increasing order")
    slices = np.diff(steps) * (values[1:] + values[:-1]) / 2
    return float(slices.sum() / (steps[-1] - steps[0]))


def matrix(scores: Scores) -> np.ndarray:
    """Scores as [tasks, runs].

    Raises:
        ValueError: tasks have different numbers of runs, so that they would not weigh the same.
    """
    arrays = checked(scores)
    counts = sorted({task.size for task in arrays})
    if len(counts) > 1:
        raise ValueError(
            f"tasks have different numbers of runs ({', '.join(map(str, counts))}): a statistic "
            "over all would weigh them unequally; use the runs that all tasks have"
        )
    return np.stack(arrays)


def resampled(scores: np.ndarray, repetitions: int, generator: np.random.Generator) -> np.ndarray:
    """Runs drawn with replacement within each task: [tasks, runs] -> [repetitions, tasks, runs]."""
    tasks, runs = scores.shape
    index = generator.integers(runs, size=(repetitions, tasks, runs))
    return np.take_along_axis(scores[None], index, axis=-1)


def bootstrap(
    statistic: Callable[..., np.ndarray],
    *samples: Scores,
    repetitions: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Stratified percentile bootstrap of a statistic of one or more sets of scores.

    Args:
        statistic: of arrays [..., tasks, runs], one for each of ``samples``.
        samples: one array [runs] per task; the sets are drawn independently.
        repetitions: draws.
        level: of the interval.
        seed: of the draws.

    Raises:
        ValueError: see :func:`matrix`.
    """
    generator = np.random.default_rng(seed)
    arrays = [matrix(scores) for scores in samples]
    drawn = statistic(*(resampled(array, repetitions, generator) for array in arrays))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Estimate(np.asarray(statistic(*arrays)), np.asarray(low), np.asarray(high))
