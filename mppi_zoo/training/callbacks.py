"""Callbacks: code of a user's own that a training calls after steps, episodes and evaluations.

Registered by gin (``Experiment.callbacks = [@EarlyStopping()]``) or by ``Trainer(callbacks=...)``.
All are called between two units of the training, when its state may be saved: a step's callbacks
come after the updates that are due for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mppi_zoo.core.ranges import Count, NonNegative, PositiveInt
from mppi_zoo.core.registration import register

if TYPE_CHECKING:
    from mppi_zoo.training.evaluations import Evaluation
    from mppi_zoo.training.trainer import Trainer


class Episode(NamedTuple):
    """An episode of the training that has ended.

    Attributes:
        step: agent steps done, over all environments.
        env: index of its environment.
        episode_return: sum of its rewards.
        length: its agent steps.
    """

    step: int
    env: int
    episode_return: float
    length: int


class Callback:
    """Base of callbacks: each method does nothing.

    A callback may read everything of the trainer, and ends the training by
    ``trainer.callbacks.stop(reason)``.
    What it draws at random it draws from a generator of its own, or the run is not repeatable.
    An exception ends the run as a :class:`CallbackFault`, after a checkpoint.
    """

    def on_step(self, trainer: Trainer) -> None:
        """Called after every step of the environments, random or planned."""

    def on_episode(self, trainer: Trainer, episode: Episode) -> None:
        """Called after every episode of the training."""

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:
        """Called after every evaluation."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs of it, as plain data for a checkpoint."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave."""


class CallbackFault(RuntimeError):
    """A callback raised an exception, which this one names."""


class Callbacks:
    """Collects what happens in a unit of the training and tells it when the unit is over."""

    def __init__(self, callbacks: Sequence[Callback] = ()):
        self.callbacks = tuple(callbacks)
        self.stopped = ""  # why the training ends early
        self._pending: list[tuple[str, tuple[Any, ...]]] = []

    def note(self, event: str, *what: Any) -> None:
        """Note an event, the name of a method of :class:`Callback`, with its arguments."""
        if self.callbacks:
            self._pending.append((event, what))

    def stop(self, reason: str) -> None:
        """End the training after this unit; a resumed run ends at once too."""
        self.stopped = reason

    def tell(self, trainer: Trainer) -> None:
        """Call every callback with every event noted, in their order.

        Raises:
            CallbackFault: one raised an exception; the others are told no more of this unit.
        """
        pending, self._pending = self._pending, []
        for event, what in pending:
            for callback in self.callbacks:
                try:
                    getattr(callback, event)(trainer, *what)
                except Exception as error:
                    raise CallbackFault(
                        f"the callback {type(callback).__name__}.{event} failed at step "
                        f"{trainer.state.step:,}: {type(error).__name__}: {error}"
                    ) from error
        if pending and self.stopped:
            trainer.progress.message(f"ends at step {trainer.state.step:,}: {self.stopped}")

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint: the states of all callbacks, in order; nothing where there is none."""
        if not self.callbacks:
            return {}
        states = [callback.state_dict() for callback in self.callbacks]
        return {"callbacks": states, "stopped": self.stopped}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave; a new callback keeps its initial state."""
        for callback, own in zip(self.callbacks, state.get("callbacks", ()), strict=False):
            callback.load_state_dict(own)
        self.stopped = state.get("stopped", "")


@register
class EarlyStopping(Callback):
    """Ends the training when the evaluations no longer get better.

    Args:
        patience: evaluations in a row without a better one, after which the training ends.
        improvement: by how much a mean return with the planner must exceed the best one before.
        after: agent steps before which the training goes on in any case.
    """

    def __init__(
        self, patience: PositiveInt = 10, improvement: NonNegative = 0.0, after: Count = 0
    ):
        self.patience, self.improvement, self.after = patience, improvement, after
        self.best, self.waited = float("-inf"), 0

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:
        """Compare the mean return with the best one before."""
        mean_return = evaluation.planner.mean_return
        if mean_return > self.best + self.improvement:
            self.best, self.waited = mean_return, 0
            return
        self.waited += 1
        if self.waited >= self.patience and evaluation.step >= self.after:
            trainer.callbacks.stop(
                f"{self.waited} evaluations without more than {self.best:.1f} "
                f"(EarlyStopping.patience = {self.patience})"
            )

    def state_dict(self) -> dict[str, Any]:
        """The best return and the evaluations since."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave."""
        self.best, self.waited = float(state["best"]), int(state["waited"])
