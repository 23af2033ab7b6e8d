"""A shared agent is the same agent, with the real client of the hub, which asks no network here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.short_runs import ToyRuns

import mppi_zoo
from mppi_zoo import share
from mppi_zoo.agent.checkpoint import read_agent_file
from mppi_zoo.deploy.sharing import WEIGHTS, pull, push

hub = pytest.importorskip("huggingface_hub")


@pytest.fixture(scope="module")
def pushed(toy_run: ToyRuns, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    run, place = toy_run("pompc_adaptive_fkl"), tmp_path_factory.mktemp("pushed") / "agent"
    assert share.main(["push", str(place), "--run", str(run)]) == 0
    return run, place


def walked(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every entry of a nested state, with the keys that lead to it."""
    if isinstance(value, dict | list | tuple):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from walked(item, (*place, key))
    else:
        yield place, value


def test_what_comes_back_is_the_same_agent(pushed: tuple[Path, Path], tmp_path: Path) -> None:
    run, place = pushed
    assert share.main(["pull", str(place), "--out", str(tmp_path / "run")]) == 0
    before, after = (read_agent_file(f, best=True)[1] for f in (run, tmp_path / "run"))
    assert before["step"] == after["step"]
    entries = [list(walked(content["agent"])) for content in (before, after)]
    assert len(entries[0]) == len(entries[1]) > 50
    for (place_a, a), (place_b, b) in zip(*entries, strict=True):
        assert place_a == place_b and type(a) is type(b), place_a
        assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b, place_a
    obs = np.array([0.3, -0.2], np.float32)
    acts = [mppi_zoo.load(folder).act(obs) for folder in (run, tmp_path / "run")]
    assert np.array_equal(acts[0], acts[1])


def test_the_hubs_client_finds_it_in_its_cache(pushed: tuple[Path, Path], tmp_path: Path) -> None:
    _, place = pushed
    commit = "0" * 40
    model = tmp_path / "cache" / "models--somebody--agent"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(commit)
    snapshot = model / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for file in place.iterdir():  # links into blobs, as the client keeps them
        (model / "blobs").mkdir(exist_ok=True)
        (model / "blobs" / file.name).write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(model / "blobs" / file.name)
    out = pull("somebody/agent", tmp_path / "run", cache=tmp_path / "cache", offline=True)
    assert np.isfinite(mppi_zoo.load(out).act(np.zeros(2, np.float32))).all()


def test_the_card_says_what_the_run_was(pushed: tuple[Path, Path]) -> None:
    run, place = pushed
    card = hub.ModelCard.load(place / "README.md")
    assert (card.data.license, card.data.library_name) == ("mit", "mppi_zoo")
    assert {"pompc_adaptive_fkl", "reinforcement-learning"} <= set(card.data.tags)
    record = json.loads((run / "run.json").read_text())
    for said in (record["task"], "mean return of", "POMPCAgent", record["versions"]["torch"]):
        assert said in card.content


def test_refusals_change_nothing(pushed: tuple[Path, Path], tmp_path: Path) -> None:
    run, place = pushed
    with pytest.raises(FileExistsError, match="not empty"):
        push(run, str(place))
    with pytest.raises(FileNotFoundError, match="holds no agent"):
        pull(str(tmp_path), tmp_path / "run")
    (tmp_path / WEIGHTS).write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="damaged"):
        pull(str(tmp_path), tmp_path / "run")
    assert not (tmp_path / "run").exists()
