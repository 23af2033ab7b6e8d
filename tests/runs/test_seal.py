"""Files with a checksum of their own: which damage is found, who else can read them."""

from __future__ import annotations

import hashlib
import random
import zipfile
from pathlib import Path

import pytest
import torch

from mppi_zoo.runs.seal import MARK, check_seal, write_sealed
from mppi_zoo.runs.tensor_file import read_checked

WEIGHTS = {"weights": torch.linspace(-1, 1, 500)}


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    path = tmp_path / "file.pt"
    written = write_sealed(path, lambda file: torch.save(WEIGHTS, file))  # type: ignore[arg-type]
    data = path.read_bytes()
    assert written == (len(data), hashlib.sha256(data).hexdigest())
    return path


def test_a_sealed_file_is_checked_and_others_can_read_it(sealed: Path) -> None:
    content, checked = read_checked(sealed)
    assert checked and torch.equal(content["weights"], WEIGHTS["weights"])
    for mapped in (False, True):
        plain = torch.load(sealed, weights_only=True, mmap=mapped)
        assert torch.equal(plain["weights"], WEIGHTS["weights"])
    with zipfile.ZipFile(sealed) as archive:
        assert archive.testzip() is None and archive.comment.startswith(MARK)


def test_no_flipped_bit_is_taken_for_the_content(sealed: Path) -> None:
    data, draws = sealed.read_bytes(), random.Random(0)
    bits = draws.sample(range(8 * len(data)), 200) + list(
        range(8 * len(data) - 8 * 82, 8 * len(data))
    )
    for bit in bits:
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        sealed.write_bytes(flipped)
        with sealed.open("rb") as file:
            try:
                assert not check_seal(file, "file.pt"), f"bit {bit} went unnoticed"
            except ValueError as error:
                assert "file.pt is damaged: its content does not match" in str(error)
            else:  # the mark itself is damaged: then the file counts as one without a seal
                assert bit // 8 - (len(data) - 80) in range(len(MARK))


def test_files_of_earlier_versions_have_no_seal(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    torch.save(WEIGHTS, path)
    content, checked = read_checked(path)
    assert not checked and torch.equal(content["weights"], WEIGHTS["weights"])
    path.write_bytes(b"short")
    with path.open("rb") as file:
        assert not check_seal(file, "short")


def test_only_archives_can_be_sealed(tmp_path: Path) -> None:
    for content in (b"", b"x", b"no archive"):
        with pytest.raises(ValueError, match="no zip archive"):
            write_sealed(tmp_path / "x", lambda file, content=content: file.write(content))
    assert list(tmp_path.iterdir()) == []
