"""Evaluation videos, where a video can be written at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def save_video(path: Path, frames: Sequence[np.ndarray], fps: int = 25) -> str:
    """Write frames [height, width, 3] uint8 as MP4; returns a line for the user.

    A missing encoder or a full disk costs the video, not the run.
    """
    try:
        import imageio.v3 as imageio

        path.parent.mkdir(parents=True, exist_ok=True)
        # macro_block_size 1: keep the frames' own size
        imageio.imwrite(path, np.stack(frames), fps=fps, macro_block_size=1)
    except Exception as error:  # encoders fail in many ways, none worth a training run
        return f"no video written: {error}"
    return f"video: {path}"
