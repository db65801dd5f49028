"""Packages that are written while their model is scanned: the same bytes as ever, whatever comes in between."""

import gzip
import hashlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

import pytest

from edgepack.cli import one_pass
from edgepack.cli.one_pass import RESERVED, takes_one_pass
from edgepack.cli.package import package_file
from edgepack.cli.streams import FileAccessError
from edgepack.errors import ArtifactError
from edgepack.keys.signing import FileSigner, ensure_signing_keys
from edgepack.package.assembly import frame_package
from edgepack.package.gzip_format import ALIGNED_FROM, BODY_ALIGNMENT
from edgepack.package.manifest import ModelIdentity
from edgepack.package.scan import scan_archive
from models import tar_gz

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
IDENTITY = ModelIdentity(model_name="model", model_version="1.0")
WEIGHTS = os.urandom(2 * ALIGNED_FROM)


def archive(files: Mapping[str, bytes]) -> bytes:
    return tar_gz(files, level=0)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> FileSigner:
    return ensure_signing_keys(tmp_path_factory.mktemp("keys"), now=NOW)


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each package was written in one pass."""
    answers: list[bool] = []

    def takes(descriptor: int, size: int) -> bool:
        answers.append(takes_one_pass(descriptor, size))
        return answers[-1]

    monkeypatch.setattr(one_pass, "takes_one_pass", takes)
    return answers


def packaged(folder: Path, model: bytes, signer: FileSigner) -> tuple[bytes, bytes]:
    """The package that is written, and what it must be."""
    source, target = folder / "model.tar.gz", folder / "package.tar.gz"
    source.write_bytes(model)
    with FileIO(source) as file:
        scan, frame = package_file(file, target, identity=IDENTITY, signer=signer, signed_at=NOW)
    assert sorted(path.name for path in folder.iterdir()) == ["model.tar.gz", "package.tar.gz"]
    return target.read_bytes(), frame.prefix + model[scan.deflate_start : scan.deflate_end] + frame.trailer


@pytest.mark.parametrize("count", [1, 300, 4000], ids=["few", "some", "more than is reserved"])
def test_the_package_is_what_it_is_otherwise(tmp_path: Path, signer: FileSigner, used: list[bool], count: int) -> None:
    model = archive({"weights": WEIGHTS} | {f"small/{number}": b"%d" % number for number in range(count)})
    found, expected = packaged(tmp_path, model, signer)
    assert found == expected
    assert used == [movable(tmp_path)]
    prefix = frame_package(scan_archive([model]), identity=IDENTITY, signer=signer, signed_at=NOW).prefix
    assert (len(prefix) > RESERVED) is (count == 4000)


def movable(folder: Path) -> bool:
    """Whether the file system of these tests can move a file's blocks at all."""
    probe = folder / "probe"
    probe.write_bytes(bytes(2 * BODY_ALIGNMENT))
    asked = [
        subprocess.run(["fallocate", mode, "--length", str(BODY_ALIGNMENT), probe], capture_output=True, check=False)
        for mode in ("--collapse-range", "--insert-range")
    ]
    probe.unlink()
    return all(each.returncode == 0 for each in asked)


def test_what_follows_the_gzip_header_s_name_is_the_body(tmp_path: Path, signer: FileSigner) -> None:
    plain = archive({"weights": WEIGHTS})
    assert plain[3] == 0
    named = plain[:3] + b"\x08" + plain[4:10] + b"model.tar\0" + plain[10:]
    found, expected = packaged(tmp_path, named, signer)
    assert found == expected


def test_several_gzip_members_are_compressed_anew(tmp_path: Path, signer: FileSigner, used: list[bool]) -> None:
    tar = gzip.decompress(archive({"weights": WEIGHTS}))
    model = gzip.compress(tar[:1000], 0) + gzip.compress(tar[1000:], 0)
    found, _ = packaged(tmp_path, model, signer)
    assert hashlib.sha256(gzip.decompress(found)[-len(tar) :]).digest() == hashlib.sha256(tar).digest()
    assert len(used) == 1


def test_a_damaged_model_leaves_nothing(tmp_path: Path, signer: FileSigner) -> None:
    model = bytearray(archive({"weights": WEIGHTS}))
    model[-5] ^= 1
    (tmp_path / "model.tar.gz").write_bytes(model)
    (tmp_path / "package.tar.gz").write_bytes(b"an older one")
    with FileIO(tmp_path / "model.tar.gz") as file, pytest.raises(ArtifactError, match="trailer"):
        package_file(file, tmp_path / "package.tar.gz", identity=IDENTITY, signer=signer, signed_at=NOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.tar.gz", "package.tar.gz"]
    assert (tmp_path / "package.tar.gz").read_bytes() == b"an older one"


def test_a_failing_disk_leaves_nothing(tmp_path: Path, signer: FileSigner, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    if not movable(tmp_path):
        pytest.skip("this file system cannot move a file's blocks")
    (tmp_path / "model.tar.gz").write_bytes(archive({"weights": WEIGHTS}))
    monkeypatch.setattr(one_pass, "_write_at", full)
    with FileIO(tmp_path / "model.tar.gz") as file, pytest.raises(FileAccessError, match="No space left"):
        package_file(file, tmp_path / "package.tar.gz", identity=IDENTITY, signer=signer, signed_at=NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["model.tar.gz"]


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder on a file system that cannot move a file's blocks."""
    folder = Path("/dev/shm") / f"edgepack-test-{os.getpid()}"
    folder.mkdir()
    yield folder
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def test_where_blocks_cannot_be_moved_it_is_written_after_the_scan(
    in_memory: Path, signer: FileSigner, used: list[bool]
) -> None:
    found, expected = packaged(in_memory, archive({"weights": WEIGHTS}), signer)
    assert found == expected
    assert used == [False]


def test_small_models_are_written_after_the_scan(tmp_path: Path) -> None:
    with (tmp_path / "probe").open("w+b", buffering=0) as file:
        assert not takes_one_pass(file.fileno(), 2 * ALIGNED_FROM - BODY_ALIGNMENT)
        assert file.seek(0, os.SEEK_END) == 0
