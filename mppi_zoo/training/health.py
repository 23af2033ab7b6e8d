"""Divergence: numbers that are not finite stop a run, which keeps what is needed to see why."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, NoReturn

import torch
from torch import Tensor

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.agent.parts import bad_parameters
from mppi_zoo.core.types import Batch
from mppi_zoo.runs import tensor_file


class Diverged(FloatingPointError):
    """A loss, a gradient or a parameter is not finite."""


MOST_NOTED = 16  # updates, whose batches are held until they are checked


class _Noted(NamedTuple):
    step: int
    update: int
    batch: Batch
    metrics: dict[str, Tensor]

    def watched(self) -> dict[str, Tensor]:
        """Losses and gradient norms."""
        return {n: m for n, m in self.metrics.items() if n.endswith(("_loss", "_norm"))}

    def not_finite(self) -> dict[str, float]:
        """Those of them that are NaN or infinite; waits for the device."""
        return {n: float(m) for n, m in self.watched().items() if not torch.isfinite(m)}


class HealthCheck:
    """Checks that the metrics of the updates are finite, without waiting for the device each time.

    A loss that is not finite makes its gradient norm so, and an infinite gradient becomes NaN in
    the clipping; so losses and norms tell of every way that parameters can become not finite.

    Args:
        agent: whose updates are checked.
        folder: of the run; the batch of a bad update is kept in its ``faults/``.
    """

    def __init__(self, agent: POMPCAgent, folder: Path):
        self.agent, self.folder = agent, folder
        self._noted: list[_Noted] = []

    def note(self, step: int, update: int, batch: Batch, metrics: dict[str, Tensor]) -> None:
        """Remember an update, without waiting for the device that still computes it."""
        self._noted.append(_Noted(step, update, batch, metrics))

    @property
    def due(self) -> bool:
        """Whether so many updates were noted that it is time to check them."""
        return len(self._noted) >= MOST_NOTED

    def finite_flag(self) -> Tensor | None:
        """Whether all losses and norms noted are finite: 0-d bool on the device.

        None if no update was noted since the last check.
        """
        watched = [metric for noted in self._noted for metric in noted.watched().values()]
        return torch.isfinite(torch.stack(watched)).all() if watched else None

    def check(self, finite: bool | None = None) -> None:
        """Check the updates noted since the last check.

        Args:
            finite: the value of :meth:`finite_flag`, if it is on the host already; None waits
                for it.

        Raises:
            Diverged: naming the first bad update, its metrics and the parameters that are not
                finite; the batch is kept.
        """
        if finite is None:
            flag = self.finite_flag()
            finite = flag is None or bool(flag)
        noted, self._noted = self._noted, []
        if not finite:
            self._raise(next(update for update in noted if update.not_finite()))

    def _raise(self, bad: _Noted) -> NoReturn:
        kept = _keep(self.folder / "faults" / f"batch_step{bad.step}_update{bad.update}.pt", bad)
        raise Diverged(
            f"update {bad.update} at agent step {bad.step} gave "
            f"{', '.join(f'{name} = {value}' for name, value in bad.not_finite().items())}"
            f"{_parameters_hit(self.agent)}; {_extremes(bad.batch)}. {kept}. The last checkpoint "
            "is from before: --resume goes on from it; or start anew with a lower learning rate "
            "(POMPCAgent.lr) or gradient clip (ClippedAdam.max_norm)"
        )

    def check_parameters(self, step: int) -> None:
        """Check all parameters and buffers, before they replace a good checkpoint.

        Raises:
            Diverged: naming those that are not finite.
        """
        bad = bad_parameters(self.agent.parts)
        if bad:
            raise Diverged(
                f"at agent step {step} the parameters {', '.join(bad[:5])} are not finite; no "
                "checkpoint of them is written, the one before is good"
            )


def _parameters_hit(agent: POMPCAgent) -> str:
    bad = bad_parameters(agent.parts)
    more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
    return f", and made {', '.join(bad[:3])}{more} not finite" if bad else ""


def _extremes(batch: Batch) -> str:
    """Largest values of the batch, where a cause often shows."""
    extremes = {"obs": batch.obs, "reward": batch.reward, "plan std": batch.plan.std}
    told = (f"|{name}| up to {float(value.abs().max()):.3g}" for name, value in extremes.items())
    return "in its batch " + ", ".join(told)


def _keep(path: Path, noted: _Noted) -> str:
    """Write an update's batch and metrics to a file; returns a sentence on where they are."""
    content = {
        "step": noted.step,
        "update": noted.update,
        "batch": {**noted.batch._asdict(), "plan": noted.batch.plan._asdict()},
        "metrics": {name: float(metric) for name, metric in noted.metrics.items()},
    }
    try:
        tensor_file.write(path, content)
    except OSError as error:
        return f"The batch could not be kept ({error})"
    return f"The batch is kept in {path}"
