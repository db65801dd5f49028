"""What must hold for any bytes at all: for the archive reader, and for the verifier. Needs no fuzzer.

The first byte of an input says how the rest is to be framed, so that mutations get past checksums.
"""

import datetime as dt
import io
import posixpath
import tarfile
import zlib
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path

import msgspec

from edgepack.errors import ArtifactError
from edgepack.package import gzip_format
from edgepack.package.assembly import package_trailer
from edgepack.package.entry import manifest_entry, prefix_pieces
from edgepack.package.limits import ArchiveLimits
from edgepack.package.scan import scan_archive
from edgepack.package.trust import TrustRoots
from edgepack.package.verification import verify_package
from package.tar_readers import View, as_packaged

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
ORIGINAL = CORPUS / "package" / "original"
"""The signed package, as an input: framed, it is the only one that verifies."""

TRUST = HERE / "trust.pem"
SIGNED_AT = dt.datetime(2026, 3, 1, 12, 0, 30, tzinfo=dt.UTC)
LIMITS = ArchiveLimits(tar_size=1 << 26, members=2000)
SIZE_BYTES = 4
"""In front of the manifest, in an input for the verifier."""

BLOCK = 512
FINAL_BLOCK = b"\x01\x00\x00\xff\xff"
"""An empty stored block, which ends a deflate stream."""


def stored(data: bytes) -> bytes:
    """The same deflate stream on every machine."""
    return b"".join(gzip_format.stored_blocks(data)) + FINAL_BLOCK


def gzipped(deflate: bytes, inflated: bytes) -> bytes:
    """A gzip member of a deflate stream and what it inflates to."""
    return gzip_format.CANONICAL_HEADER + deflate + gzip_format.trailer(zlib.crc32(inflated), len(inflated))


def with_checksums(tar: bytes) -> bytes:
    """A tar stream whose headers have the checksums that belong to them, as far as headers can be found."""
    fixed, position = bytearray(tar), 0
    while position + BLOCK <= len(fixed):
        block = fixed[position : position + BLOCK]
        if any(block):
            block[148:156] = b" " * 8
            fixed[position + 148 : position + 156] = b"%06o\0 " % sum(block)
        position += BLOCK + -(-_claimed(bytes(block[124:136])) // BLOCK) * BLOCK
    return bytes(fixed)


def _claimed(field: bytes) -> int:
    digits = field.strip(b" \0")
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else 0


def _of_deflate(deflate: bytes) -> bytes:
    """With its right trailer, unless zlib refuses the stream. What isal alone inflates fails loudly elsewhere."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        return gzipped(deflate, inflater.decompress(deflate, LIMITS.tar_size))
    except zlib.error:
        return gzipped(deflate, b"")


ARCHIVES: list[Callable[[bytes], bytes]] = [
    bytes,
    _of_deflate,
    lambda tar: gzipped(stored(tar), tar) if tar else b"",
    lambda tar: gzipped(stored(fixed := with_checksums(tar)), fixed) if tar else b"",
]
"""How the reader's inputs are framed: not at all, from a deflate stream, from a tar stream, the same with checksums."""


def seen_by_python(archive: bytes, mode: str) -> View:
    """Path and digest of every regular file; whatever else there is but folders is shown too."""
    view: View = {}
    with tarfile.open(fileobj=io.BytesIO(archive), mode=mode) as tar:  # type: ignore[call-overload]  # mode is a str
        for member in tar:
            if not member.isdir():
                content = tar.extractfile(member)
                assert content is not None, member
                view[posixpath.normpath(member.name)] = sha256(content.read()).hexdigest()
    return view


def _found(archive: bytes) -> tuple[View, bytes] | str:
    """What edgepack sees, and what it packages; or why it refuses."""
    try:
        scan_archive([archive], limits=LIMITS)
        return as_packaged(archive)
    except ArtifactError as error:
        return error.message


def check_archive(data: bytes) -> None:
    """The reader refuses an archive with a typed error, or sees in it what Python sees."""
    if not data:
        return
    found = _found(ARCHIVES[data[0] % len(ARCHIVES)](data[1:]))
    if isinstance(found, str):
        assert found
        return
    view, packaged = found
    for mode in ("r:gz", "r|gz"):
        assert seen_by_python(packaged, mode) == view, mode


def framed(data: bytes) -> bytes:
    """The package that an input for the verifier stands for: a manifest and a tar stream, or just bytes."""
    if not data or data[0] % 2:
        return data[1:]
    size = int.from_bytes(data[1 : 1 + SIZE_BYTES], "big")
    manifest, tar = data[1 + SIZE_BYTES :][:size], data[1 + SIZE_BYTES :][size:]
    if not tar:
        return manifest
    entry = manifest_entry(msgspec.Raw(manifest), int(SIGNED_AT.timestamp()))
    return b"".join(prefix_pieces(entry)) + stored(tar) + package_trailer(entry, zlib.crc32(tar), len(tar))


@cache
def original() -> tuple[bytes, TrustRoots]:
    """The signed package, and who signed it."""
    return framed(ORIGINAL.read_bytes()), TrustRoots.from_pem(TRUST.read_bytes())


def check_package(data: bytes) -> None:
    """The verifier has a verdict on anything, and says that it is good of nothing but the original."""
    package, (signed, trust) = framed(data), original()
    verdict = verify_package([package], trust=trust, now=SIGNED_AT, limits=LIMITS)
    assert verdict.ok == (package == signed), verdict
    assert verdict.ok or verdict.problems or any(file.problem for file in verdict.files)
