"""Checkpoints of a run: when they are written, what they hold, what cannot be restored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.trainers import small_trainer

from mppi_zoo.runs.checkpoint_store import CheckpointStore
from mppi_zoo.runs.metrics import Position
from mppi_zoo.training.checkpointing import Checkpointer, newest, position, take_state
from mppi_zoo.training.health import Diverged
from mppi_zoo.training.trainer import Trainer


def checkpointer(
    trainer: Trainer, minutes: float = 0.0, clock: Callable[[], float] = lambda: 0.0
) -> Checkpointer:
    store = CheckpointStore(trainer.folder / "state")
    return Checkpointer(store, trainer, trainer.logger, minutes, clock)


def begin(trainer: Trainer, units: int = 13) -> None:
    trainer.obs = trainer.envs.reset()
    for _ in range(units):
        trainer.unit()


def manifests(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "state").glob("*.json"))


def test_checkpoints_come_by_the_clock(tmp_path: Path) -> None:
    now = [0.0]
    with small_trainer(tmp_path) as trainer:
        begin(trainer, 1)
        timed = checkpointer(trainer, minutes=2.0, clock=lambda: now[0])
        never = checkpointer(trainer, minutes=0.0, clock=lambda: now[0])
        for now[0], count in ((119.0, 0), (120.0, 1), (239.0, 1), (240.0, 2)):
            timed.save_if_due()
            never.save_if_due()
            assert len(manifests(tmp_path) if count else []) == count
        assert timed.latest == 1 and never.latest is None


def test_a_new_trainer_goes_on_where_the_other_was(tmp_path: Path) -> None:
    with small_trainer(tmp_path / "run") as trainer:
        begin(trainer)
        checkpointer(trainer).save()
        taken = take_state(trainer)
    assert taken.keys() == {
        "counters",
        "agent",
        "replay",
        "warm_start",
        "episode_return",
        "episode_length",
        "episode_success",
        "envs",
        "generators",
        "process",
    }
    with small_trainer(tmp_path / "other") as trainer:
        opened = CheckpointStore(tmp_path / "run" / "state").open_newest()
        assert opened is not None
        restored = checkpointer(trainer)
        assert restored.restore(opened).tolist() == [False]
        assert restored.latest == trainer.state.step == 10
        assert trainer.state.state_dict()["counters"] == taken["counters"]
        assert trainer.state.episode_return.tolist() == taken["episode_return"].tolist()
        assert trainer.obs is not None
        assert trainer.obs.tolist() == taken["envs"]["obs"].tolist()
        trainer.unit()
        assert trainer.state.updates == 4


def test_a_checkpoint_of_another_configuration_is_named(tmp_path: Path) -> None:
    with small_trainer(tmp_path / "run") as trainer:
        begin(trainer)
        path = checkpointer(trainer).save()
    opened = CheckpointStore(tmp_path / "run" / "state").open_newest()
    assert opened is not None
    with (
        small_trainer(tmp_path / "other", "latent_dim=24") as trainer,
        pytest.raises(ValueError, match=f"{path} does not fit the configuration"),
    ):
        checkpointer(trainer).restore(opened)


def test_parameters_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    with small_trainer(tmp_path) as trainer:
        begin(trainer, 1)
        writer = checkpointer(trainer)
        writer.save()
        with torch.no_grad():
            next(trainer.agent.world_model.parameters()).fill_(float("nan"))
        with pytest.raises(Diverged, match="no checkpoint of them is written"):
            writer.save()
    assert manifests(tmp_path) == ["000001.json"]


def test_the_newest_checkpoint_that_fits_the_metrics_is_taken(tmp_path: Path) -> None:
    with small_trainer(tmp_path) as trainer:
        begin(trainer, 10)
        writer = checkpointer(trainer)
        first = writer.save()
        trainer.logger.write(10, "train", {"model_loss": 1.0})
        writer.save()
    kept = writer.store.open_newest()
    assert kept is not None and kept.path != first
    lost = (tmp_path / "metrics.csv").read_bytes()[:-3]  # as after a crash of the machine
    (tmp_path / "metrics.csv").write_bytes(lost)
    store = CheckpointStore(tmp_path / "state")
    found = newest(store, tmp_path)
    assert found is not None and found.path == first
    assert position(found).step == 10
    assert len(store.refused) == 1 and "metrics.csv has" in store.refused[0]
    (tmp_path / "metrics.csv").write_text("")
    with pytest.raises(ValueError, match="--init-from"):
        newest(CheckpointStore(tmp_path / "state"), tmp_path)


def test_a_run_without_checkpoints_begins_at_its_beginning(tmp_path: Path) -> None:
    assert newest(CheckpointStore(tmp_path / "state"), tmp_path) is None
    assert position(None) == Position(0, 0, 0)
