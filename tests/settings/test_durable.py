"""The one way files are written."""

import stat
from pathlib import Path

import pytest

from edgepack import durable


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"old")
    durable.write_file(path, b"new", mode=durable.SECRET_FILE_MODE)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


def test_a_failure_leaves_the_old_content_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edgepack.durable.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        durable.write_file(path, b"new", mode=0o600)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]
