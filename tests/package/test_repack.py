"""What cannot be spliced is compressed anew: same tar stream, bounded memory, same refusals."""

import gzip
import os
import tarfile
import threading
import zlib
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.package import errors
from edgepack.package.limits import MIB, ArchiveLimits
from edgepack.package.repack import repack
from edgepack.package.scan import Progress, scan_archive
from edgepack.package.trust import TrustRoots
from edgepack.package.verification import verify_package
from models import compiled_archive, tar_gz
from package.conftest import NOW, Package
from package.splicing import chunked

PLAIN = gzip.decompress(compiled_archive())


def in_members(*cuts: int) -> bytes:
    """The compiled model's archive, in gzip members that start at these offsets of the tar stream."""
    edges = [0, *sorted(cuts), len(PLAIN)]
    return b"".join(gzip.compress(PLAIN[start:end], mtime=0) for start, end in pairwise(edges))


@given(cuts=st.lists(st.integers(0, len(PLAIN)), min_size=1, max_size=5), chunk=st.integers(1, 9999))
def test_wherever_the_members_begin(package: Package, trust: TrustRoots, cuts: list[int], chunk: int) -> None:
    archive = in_members(*cuts)
    pieces: list[bytes] = []
    scan = repack(chunked(archive, chunk), emit=pieces.append)
    emitted = b"".join(pieces)
    assert zlib.decompress(emitted, -zlib.MAX_WBITS) == PLAIN
    assert (scan.deflate_start, scan.deflate_end) == (0, len(emitted))
    assert scan.deflate_crc32 == zlib.crc32(emitted)
    assert scan.spliceable
    source = scan_archive([archive])
    assert not source.spliceable
    assert source.not_spliceable_because == f"the archive has {len(cuts) + 1} gzip members"
    assert (scan.files, scan.tar_size, scan.crc32) == (source.files, source.tar_size, source.crc32)
    assert scan.framing_sha256 == source.framing_sha256
    assert verify_package([package(archive)], trust=trust, now=NOW).ok


def test_what_could_be_spliced_can_be_repacked_too() -> None:
    pieces: list[bytes] = []
    scan = repack([compiled_archive()], emit=pieces.append)
    assert zlib.decompress(b"".join(pieces), -zlib.MAX_WBITS) == PLAIN
    assert scan.files == scan_archive([compiled_archive()]).files


def test_pieces_leave_while_the_source_is_still_read() -> None:
    """Bounded memory: at no time is much more read than written (64 MiB that do not shrink; queue and pieces 32)."""
    archive = tar_gz({"weights": os.urandom(64 * MIB)}, level=0)
    read = written = most = 0

    def source() -> Iterator[bytes]:
        nonlocal read
        for chunk in chunked(archive, MIB):
            read += len(chunk)
            yield chunk

    def emit(piece: bytes) -> None:
        nonlocal written, most
        written += len(piece)
        most = max(most, read - written)

    repack(source(), emit=emit)
    assert written > 64 * MIB
    assert most < 40 * MIB


class StoppedError(Exception):
    """The caller has had enough."""


def stop(_: object) -> None:
    raise StoppedError


def test_whoever_takes_the_pieces_can_stop_it() -> None:
    with pytest.raises(StoppedError):
        repack(chunked(tar_gz({"weights": os.urandom(8 * MIB)}, level=0)), emit=stop)
    assert "edgepack-inflate" not in {thread.name for thread in threading.enumerate()}


def test_the_observer_can_stop_it_and_is_told_how_far_it_is() -> None:
    seen: list[Progress] = []
    archive = in_members(5000)
    repack([archive], emit=lambda _: None, observe=seen.append)
    assert seen[-1].bytes_read == len(archive)
    assert seen[-1].bytes_inflated == len(PLAIN)
    assert seen[-1].files == 3
    with pytest.raises(StoppedError):
        repack([archive], emit=lambda _: None, observe=stop)


def test_what_the_source_raises_comes_out() -> None:
    def broken() -> Iterator[bytes]:
        yield in_members(5000)[:2000]
        raise OSError("the store is gone")

    with pytest.raises(OSError, match="the store is gone"):
        repack(broken(), emit=lambda _: None)


def member(name: str) -> bytes:
    """The header of an empty file."""
    return tarfile.TarInfo(name).tobuf()


@pytest.mark.parametrize(
    ("archive", "error", "says"),
    [
        (in_members(5000)[:-1], errors.TruncatedError, "ends"),
        (in_members(5000)[:-9], errors.TruncatedError, "ends"),
        (in_members(5000)[:-8] + bytes(8), errors.ChecksumError, "trailer"),
        (in_members(5000) + b"\0", errors.TrailingDataError, "follows the end"),
        (in_members(5000) + b"\x1f\x8b", errors.TruncatedError, "ends"),
        (in_members(5000) + gzip.compress(b"more", mtime=0), errors.TrailingDataError, "end marker"),
        (
            gzip.compress(member("a"), mtime=0) + gzip.compress(member("../b") + bytes(1024), mtime=0),
            errors.UnsafeMemberError,
            r"\.\./b",
        ),
        (
            gzip.compress(member("a"), mtime=0) + gzip.compress(member("a") + bytes(1024), mtime=0),
            errors.DuplicateMemberError,
            "'a'",
        ),
        (gzip.compress(member("a"), mtime=0), errors.TruncatedError, "end marker"),
    ],
)
def test_the_same_is_refused_as_in_a_scan(archive: bytes, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        repack([archive], emit=lambda _: None)
    with pytest.raises(error, match=says):
        scan_archive([archive])


def test_members_that_hold_nothing_are_counted() -> None:
    archive = compiled_archive() + gzip.compress(b"", mtime=0) * 20
    with pytest.raises(errors.ArchiveTooLargeError, match="more than 10 gzip members"):
        repack([archive], limits=ArchiveLimits(gzip_members=10), emit=lambda _: None)
    repack([archive], emit=lambda _: None)
