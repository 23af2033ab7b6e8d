"""Everything that the rest of a training depends on, as plain data and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mppi_zoo.core.rng import process_state, restore_process
from mppi_zoo.runs.row_log import Segment

if TYPE_CHECKING:
    from mppi_zoo.training.trainer import Trainer

COUNTERS = (
    "step",
    "updates",
    "updates_owed",
    "pretraining_left",
    "evaluation_due",
    "best_return",
    "last_log",
)


def take(trainer: Trainer) -> dict[str, Any]:
    """The state between two units of training, without the replay's rows, which its logs hold."""
    envs = trainer.envs.state_dict()
    return {
        "counters": {name: getattr(trainer, name) for name in COUNTERS},
        "agent": trainer.agent.state_dict(),
        "replay": trainer.replay.state_dict(),
        "warm_start": trainer.actor.warm_start,
        "episode_return": torch.from_numpy(trainer.episode_return),
        "episode_length": torch.from_numpy(trainer.episode_length),
        "envs": {
            **{name: torch.from_numpy(envs[name]) for name in ("episode", "seeds", "obs")},
            "actions": [torch.from_numpy(taken) for taken in envs["actions"]],
        },
        "generators": trainer.generators.state_dict(),
        "process": process_state(),
    }


def restore(
    trainer: Trainer, state: dict[str, Any], segments: Mapping[str, Iterable[Segment]]
) -> np.ndarray:
    """Bring a new trainer to a state that was taken.

    Args:
        segments: the replay's rows, for each of its logs, oldest first.

    Returns:
        [N] bool, the environments whose episode could not be restored: a new one has begun.

    Raises:
        ValueError, KeyError, RuntimeError: the state is of a run with other sizes.
    """
    trainer.agent.load_state_dict(state["agent"])
    trainer.replay.load_state_dict(state["replay"], segments)
    for name in COUNTERS:
        setattr(trainer, name, state["counters"][name])
    trainer.actor.warm_start.copy_(state["warm_start"])
    trainer.episode_return = state["episode_return"].numpy().copy()
    trainer.episode_length = state["episode_length"].numpy().copy()
    envs = {name: state["envs"][name].numpy() for name in ("episode", "seeds", "obs")}
    envs["actions"] = [taken.numpy() for taken in state["envs"]["actions"]]
    lost = trainer.envs.load_state_dict(envs)
    trainer.obs = trainer.envs.observations()
    trainer.episode_return[lost] = 0
    trainer.episode_length[lost] = 0
    trainer.replay.end_episodes(lost)
    trainer.actor.reset(lost)
    trainer.generators.load_state_dict(state["generators"], trainer.seed, trainer.step)
    restore_process(state["process"])
    return lost
