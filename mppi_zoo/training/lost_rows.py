"""Goes on without rows of the replay that a damaged file held."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from mppi_zoo.compute import transfer
from mppi_zoo.training.replay import PLAN_COLUMNS, Replay


def forget_rows(replay: Replay, lost: Mapping[str, Tensor], lane_rows: int) -> None:
    """Take rows out of a replay that was restored without them.

    A row without its transition is in no window any more, until it is written anew. A row without
    its plan counts as one that was never planned, as those of random steps.

    Args:
        lost: of each of the replay's logs, the rows [n] that were not restored.
        lane_rows: of the replay that was stored; this one may have more.

    Raises:
        ValueError: no window is left to sample.
    """
    windows = len(replay)
    for name, stored in lost.items():
        rows = stored // lane_rows * replay.lane_rows + stored % lane_rows
        index = transfer.to_device(rows, replay.device)
        log = replay.logs[name]
        for column in log.columns:
            replay.columns[column][index] = 1 if column == "plan_std" else 0
        log.forget(index)
        if not set(PLAN_COLUMNS) & log.columns.keys():
            for lane in range(replay.num_envs):
                of_lane = rows[rows // replay.lane_rows == lane] % replay.lane_rows
                _leave_out(replay, lane, of_lane.numpy())
    if windows and not len(replay):
        raise ValueError(f"no window of {replay.horizon + 1} rows is left in the replay")


def _leave_out(replay: Replay, lane: int, rows: np.ndarray) -> None:
    """Let no window of a lane contain these of its rows, neither now nor as its episode goes on."""
    missing = np.zeros(replay.lane_rows, dtype=bool)
    missing[rows] = True
    starts = replay.starts[lane]
    held = starts.take(np.arange(starts.count))
    windows = (held[:, None] + np.arange(replay.horizon + 1)) % replay.lane_rows
    starts.keep(np.all(~missing[windows], axis=1))
    # of the episode under way, only the rows after the last missing one
    length = int(replay.run_length[lane])
    ages = np.arange(min(length, replay.lane_rows))
    recent = missing[(replay.cursor[lane] - 1 - ages) % replay.lane_rows]
    if recent.any():
        replay.run_length[lane] = int(recent.argmax())
