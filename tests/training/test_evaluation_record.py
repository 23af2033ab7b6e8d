"""What an evaluation leaves in a run's folder, and what the user is told."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from support.agents import build

from mppi_zoo.agent.checkpoint import load_agent
from mppi_zoo.core.types import EnvSpec
from mppi_zoo.runs.metrics import MetricsLogger
from mppi_zoo.runs.progress import Progress
from mppi_zoo.training.evaluation import Episodes
from mppi_zoo.training.evaluation_record import EvaluationRecord


def episodes(*returns: float, frames: int = 0, no_film: str = "") -> Episodes:
    count = len(returns)
    return Episodes(
        returns=np.array(returns),
        lengths=np.full(count, 5),
        frames=[np.zeros((8, 8, 3), np.uint8)] * frames,
        obs=np.zeros((6, count, 2)),
        rewards=np.zeros((5, count)),
        terminated=np.zeros(count, dtype=bool),
        no_film=no_film,
    )


def test_metrics_go_to_their_splits(tmp_path: Path) -> None:
    with MetricsLogger(tmp_path, tensorboard=False) as logger:
        record = EvaluationRecord(tmp_path, logger, Progress(1, quiet=True))
        record.episodes(30, episodes(1.0, 3.0), episodes(0.5))
    with (tmp_path / "metrics.csv").open() as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    assert ("30", "eval", "episode_return", "2.0") in rows
    assert ("30", "eval", "episode_return_max", "3.0") in rows
    assert ("30", "eval_policy", "episode_return", "0.5") in rows
    assert len(rows) == 2 * 5


def test_the_best_agent_stays_when_a_later_one_is_worse(tmp_path: Path) -> None:
    agent = build("pompc_replay", EnvSpec(4, 2, 20))
    with MetricsLogger(tmp_path, tensorboard=False) as logger:
        record = EvaluationRecord(tmp_path, logger, Progress(1, quiet=True))
        record.agent(agent, 30, best=True)
        record.agent(agent, 60, best=False)
    assert load_agent(tmp_path / "checkpoints/best.pt", agent) == 30
    assert load_agent(tmp_path / "checkpoints/last.pt", agent) == 60


@pytest.mark.parametrize("no_film", ["", "no evaluation video: no display"])
def test_the_returns_are_shown_and_why_there_is_no_video(tmp_path: Path, no_film: str) -> None:
    stream = io.StringIO()
    with MetricsLogger(tmp_path, tensorboard=False) as logger:
        record = EvaluationRecord(tmp_path, logger, Progress(100, stream=stream))
        record.show(30, episodes(1.0, 3.0, no_film=no_film), episodes(0.5, 0.5))
    expected = [
        "step 30: evaluation return 2.0 with the planner, 0.5 with the bare policy "
        "(2 episodes each)"
    ]
    assert stream.getvalue().splitlines() == ([no_film] if no_film else []) + expected
    assert not (tmp_path / "videos").exists()


def test_a_film_is_saved_under_its_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = []

    def save_video(path: Path, frames: list[np.ndarray]) -> str:
        saved.append((path, len(frames)))
        return f"video: {path}"

    monkeypatch.setattr("mppi_zoo.training.evaluation_record.save_video", save_video)
    stream, path = io.StringIO(), tmp_path / "videos" / "evaluation_30.mp4"
    with MetricsLogger(tmp_path, tensorboard=False) as logger:
        record = EvaluationRecord(tmp_path, logger, Progress(100, stream=stream))
        record.show(30, episodes(1.0, frames=4), episodes(0.5))
    assert saved == [(path, 4)] and f"video: {path}" in stream.getvalue()
