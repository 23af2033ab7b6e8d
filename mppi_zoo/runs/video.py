"""Writing evaluation videos; a video that cannot be written never stops a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mppi_zoo.core.extras import require

FPS = 25  # of the films


def save_video(path: Path, frames: Sequence[np.ndarray], fps: int = FPS) -> str:
    """Write frames [height, width, 3] uint8 as MP4; returns a message for the user.

    Where it fails, for want of an encoder or of disk space, the message says so.
    """
    try:
        require("video")
        import imageio.v3 as imageio

        path.parent.mkdir(exist_ok=True)
        # macro_block_size 1: keep the frames' own size
        imageio.imwrite(path, np.stack(frames), fps=fps, macro_block_size=1)
    except Exception as error:  # encoders fail in many ways; none may stop the run
        return f"no video written: {error}"
    return f"video: {path}"
