"""Divergence found out: numbers that are not finite stop a run, with what is needed to see why."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mppi_zoo.agent.agent import POMPCAgent
from mppi_zoo.core.types import Batch
from mppi_zoo.runs import tensor_file


class Diverged(FloatingPointError):
    """A loss, a gradient or a parameter is not finite."""


MOST_NOTED = 16  # updates, whose batches are held until they are looked at


class _Noted(NamedTuple):
    step: int
    update: int
    batch: Batch
    figures: dict[str, Tensor]

    def watched(self) -> dict[str, Tensor]:
        return {n: f for n, f in self.figures.items() if n.endswith(("_loss", "_norm"))}


class HealthCheck:
    """Looks at the figures of the updates, once something is needed on the host anyway.

    A loss that is not finite makes its gradient norm so, and an infinite gradient becomes NaN in
    the clipping; so losses and norms tell of every way that parameters can go bad.

    Args:
        folder: of the run; the batch of a bad update is kept in its ``faults/``.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._noted: list[_Noted] = []

    def note(self, step: int, update: int, batch: Batch, figures: dict[str, Tensor]) -> None:
        """Remember an update, without waiting for the device that still computes it."""
        self._noted.append(_Noted(step, update, batch, figures))

    @property
    def due(self) -> bool:
        """Whether so many updates were noted that it is time to look at them."""
        return len(self._noted) >= MOST_NOTED

    def sound(self) -> Tensor | None:
        """Whether all figures noted are finite, 0-d on the device; None if there are none."""
        figures = [figure for noted in self._noted for figure in noted.watched().values()]
        return torch.isfinite(torch.stack(figures)).all() if figures else None

    def check(self, agent: POMPCAgent, sound: bool | None = None) -> None:
        """Look at the updates noted since the last look.

        Args:
            sound: what :meth:`sound` said, if it is on the host already; None waits for it.

        Raises:
            Diverged: naming the step, the figures and the parameters; the batch is kept.
        """
        if sound is None:
            flag = self.sound()
            sound = flag is None or bool(flag)
        noted, self._noted = self._noted, []
        if sound:
            return
        first = next(n for n in noted if not all(torch.isfinite(f) for f in n.watched().values()))
        step, update, batch, figures = first
        bad = {name: float(f) for name, f in first.watched().items() if not torch.isfinite(f)}
        path = self.folder / "faults" / f"batch_step{step}_update{update}.pt"
        kept = _keep(path, step, update, batch, figures)
        raise Diverged(
            f"update {update} at agent step {step} gave "
            f"{', '.join(f'{name} = {value}' for name, value in bad.items())}"
            f"{_where(agent)}; {_of(batch)}. {kept}. The last checkpoint is from before: "
            "--resume goes on from it; or start anew with a lower learning rate (Optimizers.lr) "
            "or gradient clip (ClippedAdam.max_norm)"
        )

    def check_parameters(self, agent: POMPCAgent, step: int) -> None:
        """Look at all parameters: before they replace a good checkpoint.

        Raises:
            Diverged: naming those that are not finite.
        """
        bad = bad_parameters(agent)
        if bad:
            raise Diverged(
                f"at agent step {step} the parameters {', '.join(bad[:5])} are not finite; no "
                "checkpoint of them is written, the one before is good"
            )


def bad_parameters(agent: POMPCAgent) -> list[str]:
    """Names of the parameters and buffers that hold NaN or infinity."""
    return [
        f"{part}.{name}"
        for part, module in agent.parts._asdict().items()
        for name, tensor in module.state_dict().items()
        if not bool(torch.isfinite(tensor).all())
    ]


def _where(agent: POMPCAgent) -> str:
    bad = bad_parameters(agent)
    more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
    return f", and made {', '.join(bad[:3])}{more} not finite" if bad else ""


def _of(batch: Batch) -> str:
    """What a reader wants to know of the batch first."""
    extremes = {"obs": batch.obs, "reward": batch.reward, "plan std": batch.plan.std}
    told = (f"|{name}| up to {float(value.abs().max()):.3g}" for name, value in extremes.items())
    return "in its batch " + ", ".join(told)


def _keep(path: Path, step: int, update: int, batch: Batch, figures: dict[str, Tensor]) -> str:
    content = {
        "step": step,
        "update": update,
        "batch": {**batch._asdict(), "plan": batch.plan._asdict()},
        "figures": {name: float(figure) for name, figure in figures.items()},
    }
    try:
        tensor_file.write(path, content)
    except OSError as error:
        return f"The batch could not be kept ({error})"
    return f"The batch is kept in {path}"
