"""Damaged checkpoints: a refusal changes nothing, a damaged piece of the replay costs its rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.run_folders import contents, flip
from support.short_runs import (
    SMALL,
    ToyRuns,
    at_call,
    command,
    cut,
    resume,
    without_measuring,
    without_waiting,
)
from system.soak.compare import differences

from mppi_zoo.cli import main as run
from mppi_zoo.runs.checkpoint_store import CheckpointStore
from mppi_zoo.runs.outcome import DONE, REFUSED

MEMBER, TASK = "pompc_adaptive_fkl", "toy:point"
# The newest checkpoint shares most of its segments with the ones before.
OFTEN = [*SMALL[:-1], "TrainingOptions.checkpoint_minutes=0.03"]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    without_waiting(monkeypatch)
    without_measuring(monkeypatch)


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that crashed in training and has several checkpoints; only copies are touched."""
    out = tmp_path_factory.mktemp("crashed") / "run"
    with pytest.MonkeyPatch.context() as monkeypatch:
        without_waiting(monkeypatch)
        without_measuring(monkeypatch)
        cut(monkeypatch, command(out, MEMBER, TASK, *OFTEN))
    return out


@pytest.fixture
def out(crashed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(crashed, tmp_path / "run"))


def manifests(out: Path) -> list[Path]:
    return sorted((out / "state").glob("*.json"))


def spoil_manifests(out: Path) -> None:
    for path in manifests(out):
        path.write_text("{broken")


def spoil_states(out: Path) -> None:
    for path in manifests(out):
        flip(path.with_suffix(".pt"))


def spoil_as_an_earlier_version_left_it(out: Path) -> None:
    for path in manifests(out):
        path.write_text('{"format": "of another program"}')
        path.rename(path.with_name(path.name + ".refused"))


def lose_metrics(out: Path) -> None:
    (out / "metrics.csv").write_text("")


DAMAGES = (spoil_manifests, spoil_states, spoil_as_an_earlier_version_left_it, lose_metrics)


@pytest.mark.parametrize("damage", DAMAGES)
def test_without_a_good_checkpoint_nothing_is_touched(
    out: Path, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    listed = [path.name for path in manifests(out)]
    damage(out)
    before = contents(out)
    # the second is what a study gives when it is started again
    again = [*command(out, MEMBER, TASK, *OFTEN), "--continue"]
    for arguments in (["--resume", str(out)], again) * 2:
        assert run.main(arguments) == REFUSED
        said = capsys.readouterr().err
        assert all(name in said for name in listed) and "--init-from" in said
        assert contents(out) == before


def test_a_checkpoint_that_does_not_fit_changes_nothing(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (out / "metrics.csv").open("a") as file:
        file.write("60,train,model_loss,1.0\n")  # after the checkpoint: a resumed run drops it
    before = contents(out)
    assert resume(out, "--param", "latent_dim=24", "--force") == REFUSED
    assert "does not fit the configuration" in capsys.readouterr().err
    assert contents(out) == before


def test_a_damaged_shared_piece_costs_its_rows(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = out / "state"
    entries = [json.loads(path.read_text())["logs"]["transitions"] for path in manifests(out)]
    shared = {entry["file"] for entry in entries[0]}.intersection(
        *({entry["file"] for entry in listed} for listed in entries[1:])
    )
    assert len(shared) >= 2, "the test needs pieces that all checkpoints share"
    name = sorted(shared)[1]
    flip(state / name)
    opened = CheckpointStore(state).open_newest()
    assert opened is not None and opened.path == manifests(out)[-1]
    rows = len(opened.lost["transitions"])
    assert 0 < rows < 20
    step = opened.manifest["step"]
    assert resume(out) == DONE
    said = capsys.readouterr().err
    assert f"warning: {rows} rows of the replay are lost, since its file {name}" in said
    assert "not bit-identical" in said
    session = json.loads((out / "sessions.jsonl").read_text().splitlines()[-1])
    assert session["replay_rows_lost"] == rows and session["step"] == step
    # what comes after is whole again, and the run can be made longer from it
    opened = CheckpointStore(state).open_newest()
    assert opened is not None and not opened.damage and opened.manifest["step"] == 64
    assert resume(out, "--steps", "70", "--force") == DONE
    assert "rows of the replay are lost" not in capsys.readouterr().err


def test_a_damaged_older_manifest_never_stops_a_healthy_run(
    tmp_path: Path, toy_run: ToyRuns, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    out = tmp_path / "run"
    spoilt: list[Path] = []

    def spoil(trainer) -> None:
        spoilt.append(manifests(out)[0])
        spoilt[0].write_text("{}")

    at_call(monkeypatch, "advance", 12, spoil)
    arguments = command(out, MEMBER, "toy:point-terminating", *SMALL)
    arguments.remove("--quiet")
    assert run.main(arguments) == DONE
    said = capsys.readouterr().out
    assert said.count(f"checkpoint {spoilt[0]} is set aside") == 1
    assert differences(toy_run(MEMBER), out) == []
