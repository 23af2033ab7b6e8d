"""Checkpoints on disk: numbering, what is kept, what is refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch

from mppi_zoo.runs import tensor_file
from mppi_zoo.runs.checkpoint_store import CheckpointStore, _checksum
from mppi_zoo.runs.row_log import RowLog

ROWS = 12


def table() -> dict[str, torch.Tensor]:
    return {"a": torch.zeros(ROWS, 2), "b": torch.zeros(ROWS, dtype=torch.bool)}


@pytest.fixture
def filled(tmp_path: Path) -> tuple[CheckpointStore, RowLog]:
    store, log = CheckpointStore(tmp_path, kept=2), RowLog(table())
    for step in range(4):
        log.mark(torch.tensor([step]))
        store.save({"x": torch.tensor(step)}, {"t": log}, {"step": step})
    return store, log


def test_several_are_kept_and_no_file_too_many(filled, tmp_path: Path) -> None:
    names = {path.name for path in tmp_path.iterdir()}
    assert {name for name in names if name.endswith(".json")} == {"000003.json", "000004.json"}
    logs = {f"00000{i}.t.pt" for i in (1, 2, 3, 4)}  # all of them still hold rows
    assert names == {"000003.json", "000004.json", "000003.pt", "000004.pt", *logs}


def test_a_new_store_goes_on_counting(filled, tmp_path: Path) -> None:
    store, log = CheckpointStore(tmp_path), RowLog(table())
    opened = store.open_newest()
    assert opened is not None and opened.manifest["step"] == 3 and opened.content["x"] == 3
    for segment in opened.segments("t"):
        log.replay(segment)
    store.adopt(opened)
    log.mark(torch.tensor([7]))
    assert store.save({}, {"t": log}, {"step": 9}).name == "000005.json"
    again = CheckpointStore(tmp_path).open_newest()
    assert again is not None
    rows = torch.cat([segment.rows for segment in again.segments("t")])
    assert sorted(rows.tolist()) == [0, 1, 2, 3, 7]


def edit(path: Path, **changes: object) -> None:
    manifest = json.loads(path.read_text()) | changes
    manifest.pop("checksum")
    path.write_text(json.dumps({**manifest, "checksum": _checksum(manifest)}))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": "other"}, "not a checkpoint of mppi_zoo"),
        ({"version": 99}, "format version 99; this mppi_zoo reads up to 1: update the package"),
    ],
)
def test_foreign_and_newer_manifests_are_refused(filled, tmp_path, changes, reason) -> None:
    edit(tmp_path / "000004.json", **changes)
    store = CheckpointStore(tmp_path)
    opened = store.open_newest()
    assert opened is not None and opened.manifest["number"] == 3
    assert reason in store.refused[0]


def test_a_manifest_that_was_edited_is_refused(filled, tmp_path: Path) -> None:
    path = tmp_path / "000004.json"
    path.write_text(path.read_text().replace('"step": 3', '"step": 300'))
    store = CheckpointStore(tmp_path)
    assert store.open_newest() is not None
    assert "checksum does not match" in store.refused[0]


class Malice:
    def __reduce__(self):
        return print, ("code was executed",)


def test_code_is_never_executed(filled, tmp_path: Path, capsys) -> None:
    path = tmp_path / "000004.pt"
    for write in (torch.save, lambda content, file: file.write(pickle.dumps(content))):
        with path.open("wb") as file:
            write({"x": Malice()}, file)
        with pytest.raises(ValueError, match="holds code"):
            tensor_file.read(path)
    state = {"file": path.name, "bytes": path.stat().st_size}
    import hashlib

    edit(
        tmp_path / "000004.json",
        state={**state, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
    )
    store = CheckpointStore(tmp_path)
    opened = store.open_newest()
    assert (
        opened is not None and opened.manifest["number"] == 3 and "holds code" in store.refused[0]
    )
    assert "executed" not in capsys.readouterr().out


def test_an_empty_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert CheckpointStore(tmp_path / "none").open_newest() is None
    with pytest.raises(ValueError, match="kept = 1: expected at least 2"):
        CheckpointStore(tmp_path, kept=1)
