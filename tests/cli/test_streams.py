"""Files that the local commands read twice and write once: a change in between shows, and what is there is on disk."""

import os
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from edgepack.cli.package import package_file
from edgepack.cli.streams import replacing
from edgepack.keys.signing import FileSigner
from edgepack.package.errors import SourceChangedError
from edgepack.package.manifest import ModelIdentity
from models import tar_gz

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
IDENTITY = ModelIdentity(model_name="model", model_version="1.0")


class ChangingFile(FileIO):
    """A file one byte of which is another one from the first time on that its reader goes back."""

    changed = False

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if not self.changed:
            self._change()
        return super().seek(offset, whence)

    def _change(self) -> None:
        self.changed = True
        with Path(str(self.name)).open("r+b") as file:
            file.seek(-500, os.SEEK_END)
            (byte,) = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 1]))


def test_a_model_of_the_same_size_that_changed_between_two_reads_is_refused(tmp_path: Path) -> None:
    source, target = tmp_path / "model.tar.gz", tmp_path / "package.tar.gz"
    source.write_bytes(tar_gz({"weights": os.urandom(10_000)}))
    size, signer = source.stat().st_size, FileSigner(ec.generate_private_key(ec.SECP256R1()))
    with ChangingFile(source) as file, pytest.raises(SourceChangedError, match="changed while") as refused:
        package_file(file, target, identity=IDENTITY, signer=signer, signed_at=NOW)
    assert source.stat().st_size == size
    assert list(tmp_path.iterdir()) == [source]
    assert "job" not in refused.value.advice


def test_a_file_is_on_disk_before_it_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, fsync, synced = tmp_path / "package.tar.gz", os.fsync, []

    def recording(descriptor: int) -> None:
        synced.append(
            (str(Path(f"/proc/self/fd/{descriptor}").readlink()), os.fstat(descriptor).st_size, target.exists())
        )
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recording)
    with replacing(target) as file:
        file.write(b"package")
    (name, size, was_there), (folder, _, is_there) = synced
    assert name.startswith(f"{tmp_path}/.package.tar.gz.")
    assert (size, was_there) == (7, False)
    assert (folder, is_there) == (str(tmp_path), True)
