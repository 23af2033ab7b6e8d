"""TensorBoard and Weights & Biases: what they get beside the numbers of ``metrics.csv``.

Both get the run's configuration, its numbers against agent steps and against frames (environment
steps: agent steps times the action repeat), and the films of evaluations.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from mppi_zoo.core.extras import require

BY_FRAME = ("eval", "eval_policy")  # splits that TensorBoard also shows against frames


class About(NamedTuple):
    """What a run is, for those who watch it.

    Attributes:
        member, task, seed: of the run.
        settings: the whole configuration, value as text by the setting's name.
        action_repeat: environment steps, here called frames, per agent step.
    """

    member: str = ""
    task: str = ""
    seed: int = 0
    settings: Mapping[str, str] = {}
    action_repeat: int = 1

    def values(self) -> dict[str, str | int | float | bool]:
        """Member, task, seed and settings; numbers and truth values as such, the rest as text."""
        named = {"member": self.member, "task": self.task, "seed": self.seed}
        return {**named, **{name: _value(text) for name, text in self.settings.items()}}


class Tracker(Protocol):
    """Where a run's numbers go beside its files."""

    def numbers(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Take numbers of an agent step."""
        ...

    def video(self, step: int, file: Path, frames: Sequence[np.ndarray], fps: float) -> None:
        """Take a film: pictures [height, width, 3] uint8 and the MP4 file that they are in."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


class TensorBoard:
    """Event files in ``folder/tensorboard``; the global step is the agent step.

    Args:
        folder: of the run.
        first_step: of a resumed run: later events of an earlier session are no longer shown.
        about: the run; its configuration becomes a text, its settings hyper-parameters.
    """

    def __init__(self, folder: Path, first_step: int | None, about: About):
        require("train", "training", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        self.about = about
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step)
        if about.member:
            rows = [f"    {name} = {value}" for name, value in about.values().items()]
            self._writer.add_text("configuration", "\n".join(rows), global_step=first_step or 0)
            self._hyper_parameters()

    def _hyper_parameters(self) -> None:
        """In this run's own events; ``add_hparams`` would begin another run beside it."""
        from torch.utils.tensorboard.summary import hparams

        values = {n: v for n, v in self.about.values().items() if not _long(v)}
        metrics = {"eval/episode_return": 0.0, "eval_policy/episode_return": 0.0}
        file = self._writer._get_file_writer()
        for summary in hparams(values, metrics):
            file.add_summary(summary)

    def numbers(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """See :class:`Tracker`; those of evaluations also as ``eval_by_frame/...``."""
        for name, value in values.items():
            self._writer.add_scalar(f"{split}/{name}", value, global_step=step)
            if split in BY_FRAME:
                frame = step * self.about.action_repeat
                self._writer.add_scalar(f"{split}_by_frame/{name}", value, global_step=frame)

    def video(self, step: int, file: Path, frames: Sequence[np.ndarray], fps: float) -> None:
        """See :class:`Tracker`; TensorBoard shows GIFs, so every second picture of it."""
        import imageio.v3 as imageio
        from tensorboard.compat.proto import summary_pb2

        pictures = np.stack(frames[::2])
        buffer = io.BytesIO()
        imageio.imwrite(buffer, pictures, extension=".gif", duration=2000 / fps, loop=0)
        height, width, channels = pictures.shape[1:]
        image = summary_pb2.Summary.Image(  # pyright: ignore
            height=height,
            width=width,
            colorspace=channels,
            encoded_image_string=buffer.getvalue(),
        )
        value = summary_pb2.Summary.Value(tag="evaluation", image=image)  # pyright: ignore
        summary = summary_pb2.Summary(value=[value])  # pyright: ignore
        self._writer._get_file_writer().add_summary(summary, step)

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()


class WandB:
    """A run of Weights & Biases; without a network by ``WANDB_MODE=offline``, as W&B has it.

    Every record holds ``agent_step`` and ``frame``, either of which can be the axis of a curve.

    Args:
        folder: of the run; W&B's own files go below it.
        settings: keyword arguments of ``wandb.init``, which win over what follows from ``about``.
        about: the run: configuration, group (member and task) and tags.

    Raises:
        ImportError: the package is missing.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], about: About):
        require("wandb")
        import wandb

        self._wandb, self.about = wandb, about
        given: dict[str, Any] = {"dir": str(folder)}
        if about.member:
            suite = about.task.partition(":")[0]
            given |= {
                "config": {**about.values(), "action_repeat": about.action_repeat},
                "group": f"{about.member} {about.task}",
                "tags": [about.member[:64], about.task[:64], suite[:64]],
            }
        self._run = wandb.init(**{**given, **settings})
        # W&B's own step must never decrease; ours may, as an evaluation is logged afterwards.
        self._run.define_metric("frame", hidden=True)
        self._run.define_metric("*", step_metric="agent_step")

    def numbers(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """See :class:`Tracker`."""
        tagged = {f"{split}/{name}": value for name, value in values.items()}
        self._run.log({**tagged, **self._axes(step)})

    def video(self, step: int, file: Path, frames: Sequence[np.ndarray], fps: float) -> None:
        """See :class:`Tracker`; the MP4 file itself is uploaded."""
        film = self._wandb.Video(str(file), format="mp4")
        self._run.log({"evaluation": film, **self._axes(step)})

    def _axes(self, step: int) -> dict[str, int]:
        return {"agent_step": step, "frame": step * self.about.action_repeat}

    def close(self) -> None:
        """Upload what is left."""
        self._run.finish()


def _value(text: str) -> str | int | float | bool:
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _long(value: object) -> bool:
    return isinstance(value, str) and len(value) > 80
