"""Unpacking what nobody trusts, and writing what is the same every time."""

import gzip
import io
import os
import resource
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgepack.compilers.archive import DEFAULT_LIMITS, copy_file, extract_archive, files_below, write_archive
from edgepack.compilers.base import CompilationError
from edgepack.package.errors import DuplicateMemberError
from edgepack.package.limits import NAMES_SIZE_MAX, ArchiveLimits
from edgepack.package.names import Namespace
from models import tar_gz

NAMES = st.text("abcXYZ09-_é☃ ", min_size=1, max_size=60).filter(lambda name: name.strip())
FILES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=3000), min_size=1, max_size=6
)


class StopError(Exception):
    """What a worker raises when its job is stopped."""


def contents(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in files_below(folder).items()}


def archive_of(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.size, found.linkname = kind, size, link
    return found


def extract(data: bytes, tmp_path: Path, limits: ArchiveLimits = DEFAULT_LIMITS) -> dict[str, bytes]:
    into = tmp_path / "into"
    into.mkdir()
    extract_archive([data], into, limits=limits)
    return contents(into)


@given(files=FILES)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read_back(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    tmp_path = tmp_path_factory.mktemp("round")
    folder = tmp_path / "folder"
    kept: dict[str, bytes] = {}
    names = Namespace(NAMES_SIZE_MAX)
    for name, content in files.items():
        path = folder / name
        try:
            names.add_file(name.encode())
        except DuplicateMemberError:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        kept[name] = content
    write_archive(folder, tmp_path / "out.tar.gz")
    assert extract((tmp_path / "out.tar.gz").read_bytes(), tmp_path) == kept


def test_the_bytes_depend_on_names_and_contents_alone(tmp_path: Path) -> None:
    outs = []
    for order, mode, times in ((("b", "a/c"), 0o600, (1, 1)), (("a/c", "b"), 0o755, (10**9, 10**9))):
        folder = tmp_path / f"{mode}"
        for name in order:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(name.encode() * 100_000)
            (folder / name).chmod(mode)
            os.utime(folder / name, times)
        outs.append(tmp_path / f"{mode}.tar.gz")
        write_archive(folder, outs[-1])
    assert outs[0].read_bytes() == outs[1].read_bytes()


def test_gnu_tar_reads_it(tmp_path: Path) -> None:
    folder, out = tmp_path / "folder", tmp_path / "out.tar.gz"
    long_name = "d" * 120 + "/" + "f" * 150
    (folder / long_name).parent.mkdir(parents=True)
    (folder / long_name).write_bytes(b"long")
    (folder / "compiled.onnx").write_bytes(b"model")
    write_archive(folder, out)
    listing = subprocess.run(
        ["tar", "--utc", "--numeric-owner", "-tvzf", out], capture_output=True, text=True, check=True
    ).stdout
    assert [line.split()[:5] for line in listing.splitlines()] == [
        ["-rw-r--r--", "0/0", "5", "1970-01-01", "00:00"],
        ["-rw-r--r--", "0/0", "4", "1970-01-01", "00:00"],
    ]
    assert [line.split()[-1] for line in listing.splitlines()] == ["compiled.onnx", long_name]


def test_an_empty_folder_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "folder" / "empty").mkdir(parents=True)
    with pytest.raises(CompilationError, match="left no file"):
        write_archive(tmp_path / "folder", tmp_path / "out.tar.gz")


def test_links_are_not_followed_when_writing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "key").symlink_to("/etc/passwd")
    with pytest.raises(CompilationError, match="'key' is neither a file nor a directory"):
        write_archive(tmp_path / "folder", tmp_path / "out.tar.gz")


@pytest.mark.parametrize(
    "data",
    [
        archive_of(member("../out", size=3)),
        archive_of(member("/absolute", size=3)),
        archive_of(member("a/../../out", size=3)),
        archive_of(member("link", tarfile.SYMTYPE, link="/etc/passwd")),
        archive_of(member("a", size=1), member("link", tarfile.SYMTYPE, link="a")),
        archive_of(member("a", size=1), member("link", tarfile.LNKTYPE, link="a")),
        archive_of(member("fifo", tarfile.FIFOTYPE)),
        archive_of(member("device", tarfile.CHRTYPE)),
        archive_of(member("twice", size=1), member("twice", size=2)),
        archive_of(member("a", size=1), member("a/b", size=2)),
        archive_of(member("d/x", size=1), member("d", size=2)),
        archive_of(member("/".join("d" * 65), size=1)),
    ],
)
def test_members_that_do_not_belong_in_a_model_are_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(CompilationError, match=r"Unable to untar input model.*\([Tt]he member '"):
        extract(data, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["into"]


@pytest.mark.parametrize(
    "limits", [ArchiveLimits(tar_size=99_999), ArchiveLimits(members=1)], ids=["too large", "too many"]
)
def test_limits_hold(limits: ArchiveLimits, tmp_path: Path) -> None:
    data = archive_of(member("a", size=50_000), member("b", size=50_000))
    with pytest.raises(CompilationError, match="more than"):
        extract(data, tmp_path, limits)


GOOD = tar_gz({"model.onnx": bytes(range(256)) * 100, "labels.txt": b"a\nb\n"})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not gzip at all",
        gzip.compress(b"not a tar archive " * 100),
        gzip.compress(bytes(10240)),
        GOOD[:100],
        GOOD[:-9],
        GOOD[:-8] + bytes(8),
        gzip.compress(gzip.decompress(GOOD) + b"hidden"),
        gzip.compress(gzip.decompress(GOOD) + bytes(2 << 20) + b"hidden"),
        gzip.compress(gzip.decompress(GOOD)[: 512 + 25600 + 512 + 512]),
        gzip.compress(gzip.decompress(GOOD)[: 512 + 25600]),
        GOOD + gzip.compress(b"hidden"),
    ],
)
def test_damage_is_told_in_neos_words(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(
        CompilationError,
        match=r"^ClientError: InputConfiguration: Unable to untar input model\. Please confirm .* is a tar\.gz file \(",
    ):
        extract(data, tmp_path)


@given(position=st.integers(0, len(GOOD) - 1), flip=st.integers(1, 255))
@settings(max_examples=200)
def test_a_flipped_byte_is_noticed_or_harmless(
    position: int, flip: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    damaged = bytearray(GOOD)
    damaged[position] ^= flip
    try:
        found = extract(bytes(damaged), tmp_path_factory.mktemp("flip"))
    except CompilationError:
        return
    assert found == {"model.onnx": bytes(range(256)) * 100, "labels.txt": b"a\nb\n"}


def test_sparse_files_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "holes").open("wb") as file:
        file.seek(1 << 20)
        file.write(b"end")
    command = ["tar", "--sparse", "--format=gnu", "-C", str(tmp_path), "-czf", "-", "holes"]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    with pytest.raises(CompilationError, match="'holes' is a GNU sparse file"):
        extract(data, tmp_path)


def test_both_ways_can_be_stopped(tmp_path: Path) -> None:
    def stop() -> None:
        raise StopError

    first, folder = tmp_path / "first", tmp_path / "into"
    first.mkdir()
    folder.mkdir()
    with pytest.raises(StopError):
        extract_archive([GOOD], first, poll=stop)
    extract_archive([GOOD], folder)
    with pytest.raises(StopError):
        write_archive(folder, tmp_path / "out.tar.gz", poll=stop)


def test_a_huge_extended_header_is_not_taken_into_memory(tmp_path: Path) -> None:
    huge = member("model.onnx", size=1)
    huge.pax_headers = {"comment": "c" * (2 << 20)}
    with pytest.raises(CompilationError, match="extended header"):
        extract(archive_of(huge), tmp_path)


def test_a_name_that_no_file_can_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(CompilationError, match="component of more than 255 bytes"):
        extract(archive_of(member("n" * 256, size=1)), tmp_path)
    deep = tmp_path / ("d" * 200) / ("d" * 200)
    deep.mkdir(parents=True)
    with pytest.raises(CompilationError, match="cannot be written: File name too long"):
        extract(archive_of(member("/".join(["d" * 200] * 19), size=1)), deep)


def test_a_full_disk_is_not_blamed_on_the_model(tmp_path: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            extract(archive_of(member("model.onnx", size=2 << 20)), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_modes_of_the_archive_are_not_taken_over(tmp_path: Path) -> None:
    setuid = member("run.sh", size=1)
    setuid.mode = 0o6777
    extract(archive_of(setuid), tmp_path)
    assert (tmp_path / "into" / "run.sh").stat().st_mode & 0o7000 == 0


def test_copying_never_replaces(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    copy_file(tmp_path / "a", tmp_path / "x" / "b")
    with pytest.raises(CompilationError, match="holds 'b'"):
        copy_file(tmp_path / "a", tmp_path / "x" / "b")
