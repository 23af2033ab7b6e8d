"""The schedule: what follows what, how many updates, and when something is recorded."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from support.trainers import small_trainer

from mppi_zoo.training.trainer import Trainer


def test_units_follow_the_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    for name in ("explore", "pretrain", "advance", "evaluate"):
        original = getattr(Trainer, name)

        def counted(self: Trainer, name: str = name, original=original) -> None:
            order.append(name)
            original(self)

        monkeypatch.setattr(Trainer, name, counted)
    states = []
    with small_trainer(tmp_path) as trainer:
        trainer.run(lambda: states.append(trainer.state.step))
        assert trainer.finished and trainer.state.step == 30
        # as many as random steps, then one for each planned step
        assert trainer.state.updates == 10 + 20
    assert order == (
        ["explore"] * 10
        + ["pretrain"] * 10
        + ["advance"] * 5
        + ["evaluate"]
        + ["advance"] * 15
        + ["evaluate"]
    )
    assert len(states) == len(order)
    assert (tmp_path / "checkpoints/last.pt").is_file()
    assert (tmp_path / "checkpoints/best.pt").is_file()


def test_a_seed_phase_by_episodes_earns_as_many_updates_as_it_took_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mppi_zoo.training.options.LEAST_SEED_STEPS", 12)
    by_episodes = ("TrainingOptions.seed_episodes=3", "seed_steps=100", "steps=200")
    with small_trainer(tmp_path, *by_episodes, num_envs=2, evaluated=False) as trainer:
        ended = 0
        original = trainer.envs.step

        def step(action: np.ndarray):
            nonlocal ended
            outcome = original(action)
            ended += int((outcome[2] | outcome[3]).sum())
            return outcome

        trainer.envs.step = step  # type: ignore[method-assign]
        trainer.obs = trainer.envs.reset()
        while not trainer.state.pretraining_left:
            assert ended < 3 or trainer.state.step < 12
            trainer.unit()
        assert ended >= 3 and 12 <= trainer.state.step < 100
        assert trainer.state.pretraining_left == trainer.state.step
        trainer.state.pretraining_left = 0
        trainer.unit()
        assert trainer.phase == "training"


def test_without_an_evaluator_none_is_due(tmp_path: Path) -> None:
    with small_trainer(tmp_path, evaluated=False) as trainer:
        trainer.run()
        assert not trainer.state.evaluation_due and trainer.state.best_return == float("-inf")
    assert not (tmp_path / "checkpoints/best.pt").exists()
    assert (tmp_path / "checkpoints/last.pt").is_file()


def test_fractions_of_an_update_are_carried_over(tmp_path: Path) -> None:
    fraction = ("TrainingOptions.updates_per_step=0.25", "steps=1000")
    with small_trainer(tmp_path, *fraction, num_envs=3, evaluated=False) as trainer:
        trainer.obs = trainer.envs.reset()
        while not trainer.state.pretraining_left:
            trainer.explore()
        assert trainer.state.step == 12  # the first multiple of 3 that is enough
        assert trainer.state.pretraining_left == round(10 / 4)
        trainer.state.pretraining_left = 0
        owed = []
        for _ in range(5):
            trainer.advance()
            owed.append((trainer.state.updates, trainer.state.updates_owed))
    assert owed == [(0, 0.75), (1, 0.5), (2, 0.25), (3, 0.0), (3, 0.75)]


def test_no_updates_at_all(tmp_path: Path) -> None:
    none = "TrainingOptions.updates_per_step=0.0"
    with small_trainer(tmp_path, none, evaluated=False) as trainer:
        trainer.run()
        assert trainer.state.step == 30 and trainer.state.updates == 0


def test_episodes_are_recorded_as_they_end(tmp_path: Path) -> None:
    rewards = []
    with small_trainer(tmp_path, "steps=200", task="toy:point", evaluated=False) as trainer:
        original = trainer.envs.step

        def step(action: np.ndarray):
            outcome = original(action)
            rewards.append(float(outcome[1][0]))
            return outcome

        trainer.envs.step = step  # type: ignore[method-assign]
        trainer.seed_steps = 30
        trainer.obs = trainer.envs.reset()
        for _ in range(30):
            trainer.explore()
        assert trainer.state.episode_length.tolist() == [5]
        assert trainer.state.episode_return[0] == pytest.approx(sum(rewards[25:]))
    with (tmp_path / "metrics.csv").open() as file:
        rows = {row["metric"]: row for row in csv.DictReader(file)}
    assert rows["episode_length"]["step"] == "25"
    assert float(rows["episode_length"]["value"]) == 25
    assert float(rows["episode_return"]["value"]) == pytest.approx(sum(rewards[:25]))


def test_losses_are_recorded_once_an_interval(tmp_path: Path) -> None:
    every = "TrainingOptions.log_every=12"
    with small_trainer(tmp_path, every, evaluated=False) as trainer:
        trainer.run()
    with (tmp_path / "metrics.csv").open() as file:
        steps = [int(r["step"]) for r in csv.DictReader(file) if r["metric"] == "policy_loss"]
    assert steps == [12, 24]
