"""When the updates are made that the steps have earned."""

from __future__ import annotations

from typing import Protocol

from mppi_zoo.core.registration import register


class UpdateTiming(Protocol):
    """How many updates are made now."""

    def due(self, owed: float, ended: bool) -> int:
        """Of the updates owed, those that are due.

        Args:
            owed: what the steps have earned and was not made yet; a fraction of one waits.
            ended: whether an episode ended, and the next has not begun.
        """
        ...


@register
class EveryStep:
    """After each step: every member's rule. A simulation waits; a robot would go on moving."""

    def due(self, owed: float, ended: bool) -> int:
        """See :class:`UpdateTiming`."""
        return int(owed)


@register
class BetweenEpisodes:
    """When an episode has ended, as many as its steps have earned, before the next is begun.

    For a robot, which cannot wait within an episode. Pretraining waits for an episode's end too;
    until then the random steps go on.
    """

    def due(self, owed: float, ended: bool) -> int:
        """See :class:`UpdateTiming`."""
        return int(owed) if ended else 0
