"""Divergence found out: numbers that are not finite stop a run, with what is needed to see why."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from mppi_zoo import tensor_file
from mppi_zoo.agent import POMPCAgent
from mppi_zoo.base import Batch


class Diverged(FloatingPointError):
    """A loss, a gradient or a parameter is not finite."""


class HealthCheck:
    """Looks at the figures of the last update, once they are needed on the host anyway.

    A loss that is not finite makes its gradient norm so, and an infinite gradient becomes NaN in
    the clipping; so losses and norms tell of every way that parameters can go bad.

    Args:
        folder: of the run; the batch of a bad update is kept in its ``faults/``.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._last: tuple[int, int, Batch, dict[str, Tensor]] | None = None

    def note(self, step: int, update: int, batch: Batch, figures: dict[str, Tensor]) -> None:
        """Remember an update, without waiting for the device that still computes it."""
        self._last = step, update, batch, figures

    def check(self, agent: POMPCAgent) -> None:
        """Look at the update noted last.

        Raises:
            Diverged: naming the step, the figures and the parameters; the batch is kept.
        """
        if self._last is None:
            return
        step, update, batch, figures = self._last
        self._last = None
        watched = {n: f for n, f in figures.items() if n.endswith(("_loss", "_norm"))}
        if not watched or bool(torch.isfinite(torch.stack(list(watched.values()))).all()):
            return
        bad = {name: float(f) for name, f in watched.items() if not torch.isfinite(f)}
        path = self.folder / "faults" / f"batch_step{step}_update{update}.pt"
        kept = _keep(path, step, update, batch, figures)
        raise Diverged(
            f"update {update} at agent step {step} gave "
            f"{', '.join(f'{name} = {value}' for name, value in bad.items())}"
            f"{_where(agent)}; {_of(batch)}. {kept}. The last checkpoint is from before: "
            "--resume goes on from it; or start anew with a lower learning rate (POMPCAgent.lr) "
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
