"""Checkpoints on disk: numbering, what is kept, what is refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from support.run_folders import contents

from mppi_zoo.runs import manifest as manifests
from mppi_zoo.runs import tensor_file
from mppi_zoo.runs.checkpoint_store import CheckpointStore
from mppi_zoo.runs.manifest import checksum
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
    state = {f"00000{i}{end}" for i in (3, 4) for end in (".json", ".pt", ".owners.pt")}
    assert names == {*state, *logs}


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
    path.write_text(json.dumps({**manifest, "checksum": checksum(manifest)}))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": "other"}, "not a checkpoint of mppi_zoo"),
        ({"state": {}}, "it lacks entries of a checkpoint ('file')"),
        ({"logs": None}, "it lacks entries of a checkpoint"),
        (
            {"state": {"file": "../../../etc/passwd", "bytes": 1, "sha256": ""}},
            "file '../../../etc/passwd' is not in the checkpoint's folder",
        ),
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


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_reading_changes_nothing_whatever_is_damaged(filled, tmp_path: Path) -> None:
    (tmp_path / "000004.json").write_text("{broken")
    before = contents(tmp_path)
    opened = CheckpointStore(tmp_path).open_newest()
    assert opened is not None and opened.path.name == "000003.json"
    (tmp_path / "000003.json").write_text("{}")
    before["000003.json"] = b"{}"
    for _ in range(2):
        with pytest.raises(ValueError, match="no checkpoint can be used") as caught:
            CheckpointStore(tmp_path).open_newest()
        assert "000003.json" in str(caught.value) and "000004.json" in str(caught.value)
    assert contents(tmp_path) == before


def test_manifests_that_an_earlier_version_renamed_still_count(filled, tmp_path: Path) -> None:
    for path in tmp_path.glob("*.json"):
        path.rename(path.with_name(path.name + ".refused"))
    opened = CheckpointStore(tmp_path).open_newest()
    assert opened is not None and opened.manifest["number"] == 4
    for path in tmp_path.glob("*.refused"):
        path.write_text("{broken")
    with pytest.raises(ValueError, match="no checkpoint can be used"):
        CheckpointStore(tmp_path).open_newest()


@pytest.mark.parametrize("content", ["{}", "{broken", "[1]", ""])
def test_a_damaged_older_manifest_is_set_aside_once_there_is_a_newer_one(
    filled, tmp_path: Path, content: str
) -> None:
    store, log = filled
    (tmp_path / "000003.json").write_text(content)
    store.save({}, {"t": log}, {"step": 9})
    assert len(store.aside) == 1 and str(tmp_path / "000003.json") in store.aside[0]
    assert (tmp_path / "000003.json.refused").read_text() == content
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["000004.json", "000005.json"]
    store.save({}, {"t": log}, {"step": 10})
    assert len(store.aside) == 1


def test_a_checkpoint_that_could_not_be_used_is_not_counted_as_kept(filled, tmp_path: Path) -> None:
    spoil(tmp_path / "000004.pt")
    store, log = CheckpointStore(tmp_path, kept=2), RowLog(table())
    opened = store.open_newest()
    assert opened is not None and opened.manifest["number"] == 3
    for segment in opened.segments("t"):
        log.replay(segment)
    store.adopt(opened)
    store.save({}, {"t": log}, {"step": 9})
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["000003.json", "000005.json"]
    assert "000004.pt does not match its checksum" in store.aside[0]


@pytest.mark.parametrize("number", [1, 2])
def test_a_damaged_shared_segment_costs_its_rows(filled, tmp_path: Path, number: int) -> None:
    spoil(tmp_path / f"00000{number}.t.pt")  # in both checkpoints that are kept
    store = CheckpointStore(tmp_path)
    opened = store.open_newest()
    assert opened is not None and opened.manifest["number"] == 4
    assert opened.lost["t"].tolist() == [number - 1]
    assert opened.damage == f"its file 00000{number}.t.pt does not match its checksum"
    rows = torch.cat([segment.rows for segment in opened.segments("t")])
    assert sorted(rows.tolist()) == sorted({0, 1, 2, 3} - {number - 1})
    store.adopt(opened)
    log = RowLog(table())
    for segment in opened.segments("t"):
        log.replay(segment)
    log.forget(opened.lost["t"])
    store.save({}, {"t": log}, {"step": 9})
    again = CheckpointStore(tmp_path).open_newest()
    assert again is not None and not again.damage and again.manifest["step"] == 9
    rows = torch.cat([segment.rows for segment in again.segments("t")])
    assert sorted(rows.tolist()) == [0, 1, 2, 3]


def test_an_older_whole_checkpoint_is_better_than_one_that_lost_rows(
    filled, tmp_path: Path
) -> None:
    (tmp_path / "000004.t.pt").unlink()  # of the newest alone
    opened = CheckpointStore(tmp_path).open_newest()
    assert opened is not None and opened.manifest["number"] == 3 and not opened.lost


def test_without_the_owners_a_damaged_segment_costs_the_checkpoint(filled, tmp_path: Path) -> None:
    for name in ("000003", "000004"):  # as earlier versions wrote them
        manifest = manifests.read(tmp_path / f"{name}.json")
        del manifest["owners"]
        (tmp_path / f"{name}.json").write_text(manifests.text(manifest))
    opened = CheckpointStore(tmp_path).open_newest()
    assert opened is not None and opened.manifest["number"] == 4
    spoil(tmp_path / "000001.t.pt")
    with pytest.raises(ValueError, match="000001.t.pt does not match its checksum"):
        CheckpointStore(tmp_path).open_newest()
