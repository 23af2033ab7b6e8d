"""What checkpoints cost: training at laptop scale on a full replay of a million steps.

Blocks with one checkpoint and blocks without alternate. A block is far shorter than the five
minutes between two checkpoints by default, so the cost is stated for both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import gymnasium
import numpy as np
import torch

from mppi_zoo.config import gin_config as config
from mppi_zoo.envs import EpisodeVector
from mppi_zoo.runs.checkpoint_store import CheckpointStore
from mppi_zoo.runs.metrics import MetricsLogger
from mppi_zoo.runs.progress import Progress
from mppi_zoo.runs.row_log import Segment
from mppi_zoo.training.checkpointing import Checkpointer
from mppi_zoo.training.replay import Replay
from mppi_zoo.training.trainer import Trainer

OBS_DIM, ACTION_DIM, HORIZON = 67, 21, 3
DEFAULT_SECONDS = 300.0


class Noise(gymnasium.Env):
    """Observations and rewards at random, of the sizes of humanoid-walk."""

    max_episode_steps, episodic = 500, False
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (OBS_DIM,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (ACTION_DIM,), np.float32)
    steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.np_random.normal(size=OBS_DIM).astype(np.float32), {}

    def step(self, action):
        self.steps += 1
        obs = self.np_random.normal(size=OBS_DIM).astype(np.float32)
        return obs, 0.5, False, self.steps == self.max_episode_steps, {}


def fill(replay: Replay) -> None:
    """Random rows, all of them, as one episode."""
    rows = replay.lane_rows
    segments = {
        name: [
            Segment(
                torch.arange(rows),
                {n: torch.rand(c.shape).to(c.dtype) for n, c in log.columns.items()},
            )
        ]
        for name, log in replay.logs.items()
    }
    counts = torch.tensor([rows])
    state = {
        "lane_rows": rows,
        "starts": [torch.arange(rows - HORIZON)],
        "cursor": torch.tensor([0]),
        "run_length": counts.clone(),
        "written": counts,
        "steps": rows,
    }
    replay.load_state_dict(state, segments)
    for log in replay.logs.values():
        log.restart()


def trainer_in(folder: Path, rows: int, member: str) -> tuple[Trainer, Checkpointer]:
    torch.manual_seed(0)
    experiment = config.parse([member, "scale/laptop"], ["seed_steps=1000"])
    envs = EpisodeVector("bench_checkpoint:Noise", 1, 0, "training")
    execution = experiment.execution(experiment.agent(envs.spec))
    replay = Replay(envs.spec, rows, HORIZON)
    fill(replay)
    logger = MetricsLogger(folder, tensorboard=False)
    trainer = Trainer(
        execution,
        envs,
        None,
        replay,
        experiment.reanalysis,
        experiment.training,
        0,
        logger,
        Progress(1, quiet=True),
        folder,
    )
    trainer.obs = envs.reset()
    trainer.state.step = trainer.seed_steps
    return trainer, Checkpointer(CheckpointStore(folder / "state"), trainer, logger, 0)


def block(trainer: Trainer, steps: int, checkpointer: Checkpointer | None) -> tuple[float, float]:
    """Seconds of a block, and of the checkpoint within."""
    begun, pause = time.perf_counter(), 0.0
    for _ in range(steps):
        trainer.advance()
    if checkpointer is not None:
        before = time.perf_counter()
        checkpointer.save()
        pause = time.perf_counter() - before
    return time.perf_counter() - begun, pause


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--member", default="pompc_adaptive_fkl")
    parser.add_argument("--steps", type=int, default=150, help="agent steps of a block")
    parser.add_argument("--blocks", type=int, default=6, help="of each kind")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trainer, checkpointer = trainer_in(Path(folder), args.rows, args.member)
        begun = time.perf_counter()
        checkpointer.save()
        first = time.perf_counter() - begun
        block(trainer, 20, None)
        without, with_one, pauses = [], [], []
        for _ in range(args.blocks):
            without.append(block(trainer, args.steps, None)[0])
            seconds, pause = block(trainer, args.steps, checkpointer)
            with_one.append(seconds)
            pauses.append(pause)
    middle = statistics.median(without)
    print(f"replay {args.rows:,} x ({OBS_DIM} + {ACTION_DIM}), {args.member}, laptop scale")
    print(f"first checkpoint, with every row: {first:.2f} s")
    print(f"further ones: median {1e3 * statistics.median(pauses):.0f} ms, longest "
          f"{1e3 * max(pauses):.0f} ms")  # fmt: skip
    print(f"block of {args.steps} steps: {middle:.2f} s without (from {min(without):.2f} to "
          f"{max(without):.2f}), {statistics.median(with_one):.2f} s with one")  # fmt: skip
    print(f"one checkpoint a block: {100 * statistics.median(pauses) / middle:.2f} % of the time; "
          f"one in {DEFAULT_SECONDS:.0f} s, the default: "
          f"{100 * statistics.median(pauses) / DEFAULT_SECONDS:.3f} %")  # fmt: skip


if __name__ == "__main__":
    main()
