"""Files of tensors: whole or not at all, read without executing code."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import pytest
import torch

from mppi_zoo.runs import seal, tensor_file

CONTENT = {"tensor": torch.arange(6).view(2, 3), "plain": [1, 2.5, "text", None, {"a": True}]}


def test_content_comes_back_with_its_size_and_checksum(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "file.pt"
    written = tensor_file.write(path, CONTENT)
    data = path.read_bytes()
    assert written == (len(data), hashlib.sha256(data).hexdigest())
    content = tensor_file.read(path)
    assert torch.equal(content["tensor"], CONTENT["tensor"])
    assert content["plain"] == CONTENT["plain"]
    assert [file.name for file in path.parent.iterdir()] == ["file.pt"]


class Malice:
    def __reduce__(self):
        return print, ("code was executed",)


def test_code_and_damage_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "file.pt"
    with path.open("wb") as file:
        torch.save({"x": Malice()}, file)
    with pytest.raises(ValueError, match=r"file\.pt is damaged, not a checkpoint, or holds code"):
        tensor_file.read(path)
    path.write_bytes(pickle.dumps(Malice()))
    with pytest.raises(ValueError, match="holds code"):
        tensor_file.read(path)
    tensor_file.write(path, CONTENT)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is damaged"):
        tensor_file.read(path)
    assert "executed" not in capsys.readouterr().out


def test_a_failed_write_is_the_disk_s_error_and_leaves_the_file_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.pt"
    tensor_file.write(path, CONTENT)
    before = path.read_bytes()

    class FullDisk:
        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        def flush(self) -> None: ...

    monkeypatch.setattr(seal, "write_file", lambda path, write: write(FullDisk()))
    with pytest.raises(OSError, match="No space left"):
        tensor_file.write(path, {"other": torch.zeros(1000)})
    assert path.read_bytes() == before
