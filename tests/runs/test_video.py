"""Evaluation videos, and what prevents one."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

from mppi_zoo.runs.video import save_video


def frames() -> list[np.ndarray]:
    """Five frames of 18 by 22 pixels that brighten; no multiple of 16."""
    return [np.full((18, 22, 3), 50 * number, np.uint8) for number in range(5)]


def test_frames_keep_their_size_and_order(tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / "videos" / "evaluation_100.mp4"
    assert save_video(path, frames(), fps=10) == f"video: {path}"
    seen = imageio.imread(path)
    assert seen.shape == (5, 18, 22, 3)
    assert (np.diff(seen.mean((1, 2, 3))) > 30).all()


def test_a_failure_is_told_and_raises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = [*frames(), np.zeros((9, 9, 3), np.uint8)]
    assert save_video(tmp_path / "a.mp4", odd).startswith("no video written: ")
    (tmp_path / "file").touch()
    assert save_video(tmp_path / "file" / "b.mp4", frames()).startswith("no video written: ")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
