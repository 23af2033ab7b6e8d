"""A process per environment; workers that hang or die raise an EnvironmentFault."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium
from gymnasium.vector import AsyncVectorEnv, AutoresetMode

from mppi_zoo.envs.faults import EnvironmentFault


class Workers(AsyncVectorEnv):
    """Gymnasium's asynchronous vector with a time limit: alone it waits for ever for a worker.

    Args:
        task: for messages.
        builders: one for each environment.
        time_out: seconds that a step or a reset may take.
    """

    def __init__(
        self, task: str, builders: Sequence[Callable[[], gymnasium.Env]], time_out: float
    ) -> None:
        self.task, self.time_out = task, time_out
        # copy=True: gymnasium otherwise returns one buffer that later steps overwrite.
        super().__init__(builders, copy=True, autoreset_mode=AutoresetMode.DISABLED)

    def reset_wait(self, timeout: float | None = None) -> Any:
        """As gymnasium's; never longer than ``time_out``."""
        with self._watched("reset"):
            return super().reset_wait(self.time_out if timeout is None else timeout)

    def step_async(self, actions: Any) -> None:
        """As gymnasium's."""
        with self._watched("step"):
            super().step_async(actions)

    def step_wait(self, timeout: float | None = None) -> Any:
        """As gymnasium's; never longer than ``time_out``."""
        with self._watched("step"):
            return super().step_wait(self.time_out if timeout is None else timeout)

    def call_wait(self, timeout: float | None = None) -> Any:
        """As gymnasium's, without a time limit, since a call may replay a whole episode."""
        with self._watched("call"):
            return super().call_wait(timeout)

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:
        """Ends the processes; with ``terminate`` by SIGKILL, since workers ignore SIGTERM."""
        if not terminate:
            super().close_extras(timeout)
            return
        for process in self.processes:
            process.kill()
            process.join()
        for pipe in self.parent_pipes:
            if pipe is not None:
                pipe.close()

    @contextlib.contextmanager
    def _watched(self, what: str) -> Iterator[None]:
        try:
            yield
        except multiprocessing.TimeoutError as error:
            hung = [i for i, pipe in enumerate(self.parent_pipes) if pipe and not pipe.poll()]
            message = (
                f"{self.task}: environments {hung} gave no answer to {what} within "
                f"{self.time_out:g} s; expected one (the environment hangs; if it is only slow, "
                "increase EnvOptions.time_out)"
            )
            self.close(terminate=True)
            raise EnvironmentFault(message) from error
        except (EOFError, ConnectionError) as error:
            for process in self.processes:
                process.join(1.0)
            dead = {i: p.exitcode for i, p in enumerate(self.processes) if not p.is_alive()}
            message = (
                f"{self.task}: the processes of environments {list(dead)} died during {what} "
                f"(exit codes {list(dead.values())}; -9 is SIGKILL, as sent when memory runs out)"
            )
            self.close(terminate=True)
            raise EnvironmentFault(message) from error
