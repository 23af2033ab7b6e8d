"""Building the parts of a run: from the seed alone, checked, and without a folder."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch

from mppi_zoo.agent.checkpoint import save_agent
from mppi_zoo.cli import resume
from mppi_zoo.cli.arguments import parser
from mppi_zoo.cli.setup import Setup, add_evaluator, build

DEBUG = ["--gin", "bmpc_equiv", "--gin", "debug", "--task", "toy:point", "--device", "cpu"]


def built(stack: contextlib.ExitStack, *arguments: str, evaluator: bool = False) -> Setup:
    args = parser().parse_args([*DEBUG, *arguments])
    record = resume.settle(args)
    setup = build(args, record, stack)
    return add_evaluator(setup, args, stack, lambda: None) if evaluator else setup


def parameters(setup: Setup) -> torch.Tensor:
    modules = setup.execution.agent.parts._asdict().values()
    return torch.cat([p.detach().flatten() for m in modules for p in m.parameters()])


def test_parameters_come_from_the_seed_alone() -> None:
    with contextlib.ExitStack() as stack:
        first = parameters(built(stack))
        torch.manual_seed(9)
        np.random.seed(9)
        assert torch.equal(parameters(built(stack)), first)
        assert not torch.equal(parameters(built(stack, "--seed", "2")), first)


def test_the_parts_are_those_that_were_asked_for() -> None:
    with contextlib.ExitStack() as stack:
        setup = built(stack, "--num-envs", "2", "--steps", "80", evaluator=True)
        assert setup.member == "bmpc_equiv" and setup.device.type == "cpu"
        assert setup.envs.num_envs == 2 and setup.experiment.training.steps == 80
        assert "steps = 80" in setup.operative and setup.replay_device.type == "cpu"
        assert setup.evaluator is not None and setup.evaluator.envs.num_envs == 2


def test_there_is_no_evaluator_where_none_is_wanted() -> None:
    with contextlib.ExitStack() as stack:
        setup = built(stack, "--no-video", "--param", "eval_every=0", evaluator=True)
        assert setup.evaluator is None and not setup.film and setup.note == ""


def test_a_renderer_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mppi_zoo.cli.setup.rendering_available", lambda: (False, "no display"))
    with contextlib.ExitStack() as stack:
        setup = built(stack, evaluator=True)
        assert not setup.film and setup.note == "no evaluation video: no display"


def test_an_environment_that_renders_no_images_is_evaluated_without_film(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mppi_zoo.cli.setup.rendering_available", lambda: (True, ""))
    with contextlib.ExitStack() as stack:
        setup = built(stack, "--task", "support.robot:Robot", evaluator=True)
        assert setup.evaluator is not None and not setup.film
        assert "no evaluation video: support.robot:Robot has render_mode None" in setup.note


def test_initial_parameters_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "agent.pt"
    with contextlib.ExitStack() as stack:
        other = built(stack, "--seed", "2")
        save_agent(file, other.execution.agent, 0)
        assert torch.equal(parameters(built(stack, "--init-from", str(file))), parameters(other))


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with contextlib.ExitStack() as stack:
        built(stack, evaluator=True)
        with pytest.raises(ValueError, match="elites = 100"):
            built(stack, "--param", "elites=100")
    assert list(tmp_path.iterdir()) == []
