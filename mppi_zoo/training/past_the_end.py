"""What the replay stores after a step that ended its episode for good: a part of the experiment.

Without it a terminal step is only ever the last step of a window, where it has the smallest weight,
and no loss ever sees a terminal latent as the start of a step, though the model's roll-outs go on
from there (docs/terminations.md).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from mppi_zoo.core.registration import register


class PastTheEnd(Protocol):
    """A rule."""

    def steps(self, horizon: int) -> int:
        """Steps stored after a terminal step, for windows of that many steps."""
        ...

    def actions(self, numbers: np.ndarray, action_dim: int) -> np.ndarray:
        """Their actions [n, A] in [-1, 1], float32, by the numbers [n] of their rows."""
        ...


@register
class NothingPastTheEnd:
    """The last observation closes an episode, as in all published members."""

    def steps(self, horizon: int) -> int:
        """0."""
        return 0

    def actions(self, numbers: np.ndarray, action_dim: int) -> np.ndarray:
        """Never asked for."""
        return np.zeros((len(numbers), action_dim), dtype=np.float32)


@register
class AbsorbingRows:
    """A terminal state leads to itself: reward 0, terminated, whatever the action.

    As many such steps follow a terminal step as a window has, so that it comes at every index of a
    window equally often, and one window lies past the end altogether. A time limit is no
    termination and gets none. In the spirit of the absorbing states of Kostrikov et al. (ICLR
    2019), which are a state of their own; here it is the last observation.
    """

    def steps(self, horizon: int) -> int:
        """As many as a window has."""
        return horizon

    def actions(self, numbers: np.ndarray, action_dim: int) -> np.ndarray:
        """Points that fill the box evenly, without a draw: Roberts' R sequence (2018).

        x_n = frac(1/2 + n (1/g, 1/g^2 .. 1/g^A)), g the positive root of g^(A+1) = g + 1.
        """
        root = 2.0
        for _ in range(64):
            root = (1 + root) ** (1 / (action_dim + 1))
        steps = root ** -np.arange(1.0, action_dim + 1)
        return (2 * ((0.5 + numbers[:, None] * steps) % 1.0) - 1).astype(np.float32)
