"""Callbacks: when they are called, what they may do, and what becomes of their exceptions."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from support.short_runs import SMALL, TOY, command
from support.trainers import small_trainer

from mppi_zoo.cli import main as run
from mppi_zoo.core.registration import register
from mppi_zoo.training.callbacks import Callback, Callbacks, EarlyStopping, Episode
from mppi_zoo.training.evaluations import Evaluation
from mppi_zoo.training.trainer import Trainer


class Notes(Callback):
    """Notes every call, with the state that it finds."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, Any]] = []

    def on_step(self, trainer: Trainer) -> None:
        self.seen.append(("step", trainer.state.step, trainer.state.updates))

    def on_episode(self, trainer: Trainer, episode: Episode) -> None:
        self.seen.append(("episode", episode.step, episode))

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:
        self.seen.append(("evaluation", evaluation.step, evaluation.planner.mean_return))


@register
class FailsAtForty(Callback):
    """Raises an exception after step 40."""

    def on_step(self, trainer: Trainer) -> None:
        if trainer.state.step == 40:
            raise KeyError("my_key")


def test_they_are_called_after_units_with_what_happened(tmp_path: Path) -> None:
    notes = Notes()
    with small_trainer(tmp_path, callbacks=[notes]) as trainer:
        trainer.run()
    rows = [line.split(",") for line in (tmp_path / "metrics.csv").read_text().splitlines()[1:]]
    steps = [(step, updates) for kind, step, updates in notes.seen if kind == "step"]
    # ten random steps, then one update a step, made before the callback is called
    assert steps == [(n, 0) for n in range(1, 11)] + [(n, n) for n in range(11, 31)]
    returns = [
        float(value)
        for _, split, name, value in rows
        if name == "episode_return" and split == "train"
    ]
    episodes = [what for kind, _, what in notes.seen if kind == "episode"]
    assert returns and [episode.episode_return for episode in episodes] == returns
    evaluated = [(step, value) for kind, step, value in notes.seen if kind == "evaluation"]
    assert [step for step, _ in evaluated] == [15, 30]
    of_planner = [float(r[3]) for r in rows if r[1:3] == ["eval", "episode_return"]]
    assert [value for _, value in evaluated] == pytest.approx(of_planner)


def test_early_stopping_waits_for_its_patience(tmp_path: Path) -> None:
    stopping, said = EarlyStopping(patience=2, improvement=1e9), io.StringIO()
    with small_trainer(
        tmp_path, "eval_every=5", "steps=60", callbacks=[stopping], stream=said
    ) as trainer:
        trainer.run()
        # that at step 5 is the best so far, two more are not better
        assert trainer.state.step == 15 and trainer.finished and stopping.waited == 2
        state = trainer.callbacks.state_dict()
    assert "EarlyStopping.patience = 2" in said.getvalue()
    # a resumed run ends at once, and knows how long it has waited
    other = EarlyStopping(patience=2)
    again = Callbacks([other])
    again.load_state_dict(state)
    assert (other.best, other.waited) == (stopping.best, 2) and again.stopped


def test_an_exception_is_named_and_nothing_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    binding = "Experiment.callbacks=[@FailsAtForty()]"
    arguments = command(tmp_path / "run", "tdmpc2_equiv", TOY, *SMALL, "--param", binding)
    assert run.main(arguments) == 3
    error = capsys.readouterr().err
    assert "FailsAtForty.on_step failed at step 40: KeyError: 'my_key'" in error
    assert "step 40 is kept" in error
