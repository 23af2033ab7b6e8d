"""A trained agent for use in any program: ``mppi_zoo.load(RUN_FOLDER).act(obs)``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mppi_zoo.agent.actor import Actor, finite_action
from mppi_zoo.agent.deadline import END, Deadline, Pace
from mppi_zoo.agent.execution import Execution
from mppi_zoo.agent.parts import refuse_bad_parameters, version_count
from mppi_zoo.compute.threads import using
from mppi_zoo.core.rng import generator_for
from mppi_zoo.deploy.actions import ActionSpace
from mppi_zoo.deploy.fallback import Fallback, RaiseError
from mppi_zoo.deploy.observations import UnusableObservation, flatten, refuse_unusable

REHEARSALS = 12


class Decision(NamedTuple):
    """How the last action came about."""

    action: np.ndarray  # [A] in [-1, 1]
    iterations: int | None  # of the planner, under a deadline; 0: the bare policy; None: as usual
    refused: Exception | None = None  # why the fallback acted; None: it did not


class Controller:
    """Acts with a trained agent, one observation at a time.

    Args:
        execution: runs the trained agent.
        actions: the environment's own actions, for ``act(..., native=True)``.
        seed: seed of the planner's random draws.
        check: raises UnusableObservation for an observation [O] that must not be acted on; None:
            :func:`~mppi_zoo.deploy.observations.refuse_unusable`.
        fallback: what is done where no action can be chosen.
        threads: CPU threads to compute with; the program's own number is left as it is.
        clock: seconds, for deadlines.

    Attributes:
        last: the :class:`Decision` of the last call; None before the first of an episode.
        refusals: how often the fallback acted.

    Raises:
        ValueError: the agent has parameters that are not finite.
    """

    def __init__(
        self,
        execution: Execution,
        actions: ActionSpace,
        seed: int = 0,
        check: Callable[[np.ndarray], None] | None = None,
        fallback: Fallback | None = None,
        threads: int = 1,
        clock: Callable[[], float] = time.perf_counter,
    ):
        if threads < 1:
            raise ValueError(f"threads = {threads}: expected at least 1")
        self.threads, self.clock = threads, clock
        self.execution, self.agent = execution, execution.agent
        self.actions, self.obs = actions, self.agent.spec.obs
        self.check = check or (lambda obs: refuse_unusable(obs, self.obs))
        self.fallback: Fallback = fallback or RaiseError()
        self.last: Decision | None = None
        self.refusals = 0
        self._pace: Pace | None = None
        self._checked = -1
        self._check_parameters()
        self._actor = Actor(execution, 1, generator_for(seed, "deployment", self.agent.device))

    def reset(self) -> None:
        """Call at the start of an episode: the planner forgets its last plan."""
        self._checked = -1
        self.last = None
        self._actor.reset()

    def _check_parameters(self) -> None:
        """Refuse parameters that are not finite, if any was written since the last check."""
        versions = version_count(self.agent.parts)
        if versions != self._checked:
            refuse_bad_parameters(self.agent.parts, "the agent")
            self._checked = versions

    def act(
        self,
        obs: Any,
        *,
        native: bool = False,
        planner: bool = True,
        deadline: float | None = None,
    ) -> np.ndarray:
        """The action for an observation: [A] in [-1, 1].

        ``last`` tells how it came about. A call that takes the fallback or, under a deadline, the
        bare policy's action makes the planner forget its last plan.

        Args:
            obs: what the environment observes, a dictionary of entries, say, or flat numbers [O].
            native: return the action in the environment's own units, dtype and shape, within its
                bounds.
            planner: plan; if False, act with the bare policy, which is many times faster.
            deadline: seconds from now, after which the action should be there: it is that of the
                plan after as many iterations as fit, or of the bare policy where none does. Their
                times are learned beforehand, by :meth:`warm_up`, or by the first such call.

        Raises:
            UnusableObservation: a ValueError: the observation has not the numbers it had in
                training, or one that is NaN, infinite or absurd, which the message names. Only
                where the fallback raises it, as by default.
            FloatingPointError: the agent's action is not finite; as before.
            ValueError: parameters of the agent are not finite, or the deadline is no time.
        """
        until = self._until(deadline)
        self._check_parameters()
        try:
            flat = flatten(obs, self.obs)
            self.check(flat)
            with using(self.threads):
                action, iterations = self._chosen(flat.astype(np.float32)[None], planner, until)
            self.last = Decision(action, iterations)
        except (UnusableObservation, FloatingPointError) as error:
            self.last = self._refused(error)
        return self.actions.native(self.last.action) if native else self.last.action

    def _until(self, deadline: float | None) -> float | None:
        """When the action must be there; None: whenever it is."""
        if deadline is None:
            return None
        if not 0 <= deadline < math.inf:
            raise ValueError(f"deadline = {deadline}: expected seconds from now, at least 0")
        if self._pace is None:
            self.warm_up()
        return self.clock() + deadline

    def _chosen(
        self, flat: np.ndarray, planner: bool, until: float | None
    ) -> tuple[np.ndarray, int | None]:
        """The action [A], and the planner's iterations where there is a deadline."""
        if not planner:
            return finite_action(self.agent.policy_action(self.agent.tensor(flat)))[0], None
        if until is None:
            return self._actor.act(flat, greedy=True).action[0], None
        assert self._pace is not None
        action, made = self._actor.act_until(flat, Deadline(self._pace, until, self.clock))
        return action[0], made

    def _refused(self, error: Exception) -> Decision:
        """What the fallback makes of it, within [-1, 1]."""
        zero = self.actions.zero.astype(np.float32)
        before = zero if self.last is None else self.last.action
        self._actor.reset()
        action = np.asarray(self.fallback(error, before, zero), np.float32)
        if action.shape != zero.shape or not (np.abs(action) <= 1).all():
            raise ValueError(
                f"the fallback {type(self.fallback).__name__} gave {action.tolist()}: expected "
                f"{zero.size} numbers in [-1, 1]"
            ) from error
        self.refusals += 1
        return Decision(action, None, error)

    def warm_up(self) -> None:
        """Plan a few times from zeros, so that what happens in the first calls alone is done.

        Compiled code is compiled, and the times of the plan's iterations are learned for
        deadlines. The plan of the episode and the draws of its next ones stay.
        """
        flat = np.zeros((1, self.agent.spec.obs_dim), np.float32)
        draws = generator_for(0, "rehearsal", self.agent.device)
        with using(self.threads):
            for number in range(REHEARSALS):
                if number < 3:  # which learn nothing: they compile, or are slower for other reasons
                    self._pace = Pace()
                assert self._pace is not None
                actor = Actor(self.execution, 1, draws)
                actor.act_until(flat, Deadline(self._pace, math.inf, self.clock))
                began = self.clock()
                finite_action(self.agent.policy_action(self.agent.tensor(flat)))
                self._pace.note(END, self.clock() - began)
