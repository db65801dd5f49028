"""The manifest's tar entry, and the stored blocks it stands in: the package's first bytes, in the one form there is."""

import zlib
from collections.abc import Iterator

import msgspec

from edgepack.package import gzip_format
from edgepack.package.canonical import encode_canonical_into
from edgepack.package.errors import ManifestError, NotPackagedError, TruncatedError
from edgepack.package.limits import MANIFEST_SIZE_MAX
from edgepack.package.manifest import Manifest
from edgepack.package.names import MANIFEST_NAME
from edgepack.package.source import Source
from edgepack.package.tar_headers import BLOCK_SIZE

MANIFEST_MODE = b"0000644"

_SIZE_FIELD = slice(124, 135)
"""Of a ustar header: eleven octal digits."""

_NAME_START = len(gzip_format.CANONICAL_HEADER) + gzip_format.STORED_BLOCK_HEADER_SIZE
"""Offset in a package of the manifest's name, which nothing compresses."""

_NAME = MANIFEST_NAME.encode() + b"\0"


def manifest_header(size: int, modified_at: int) -> bytes:
    """The POSIX ustar header of the manifest.

    Args:
        size: Bytes of the manifest.
        modified_at: Seconds since 1970: the signing time.
    """
    header = b"".join(
        (
            MANIFEST_NAME.encode().ljust(100, b"\0"),
            MANIFEST_MODE.ljust(8, b"\0"),
            b"0000000\0" * 2,
            b"%011o\0%011o\0" % (size, modified_at),
            b" " * 8,
            b"0".ljust(101, b"\0"),
            b"ustar\x0000".ljust(72, b"\0"),
            b"0000000\0" * 2,
            bytes(167),
        )
    )
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def manifest_entry(manifest: Manifest | msgspec.Raw, modified_at: int) -> bytearray:
    """The manifest as a tar member: header, content, padding; the manifest is encoded in its place, without a copy.

    Args:
        manifest: The content; as JSON already, it is taken as it is.
        modified_at: Seconds since 1970: the signing time.
    """
    entry = bytearray(BLOCK_SIZE)
    encode_canonical_into(manifest, entry, BLOCK_SIZE)
    size = len(entry) - BLOCK_SIZE
    entry[:BLOCK_SIZE] = manifest_header(size, modified_at)
    entry += bytes(-size % BLOCK_SIZE)
    return entry


def content_of(entry: bytes | bytearray) -> memoryview:
    """The manifest's bytes in its entry."""
    return memoryview(entry)[BLOCK_SIZE : BLOCK_SIZE + _size(entry)]


def entry_crc32(entry: bytes | bytearray) -> int:
    """CRC-32 of an entry.

    By zlib, for isal's leaves the processor's vector registers in a state in which OpenSSL's SHA-256 takes a third
    longer, on that thread and from then on (measured on an AMD EPYC), and files are hashed on this one.
    """
    return zlib.crc32(entry)


def check_entry(entry: bytearray, *, modified_at: int) -> None:
    """Check what stands around the manifest in its entry.

    Args:
        entry: The entry.
        modified_at: Seconds since 1970: the signing time.

    Raises:
        ManifestError: It is not what `manifest_entry` makes.
    """
    size = _size(entry)
    padding = entry[BLOCK_SIZE + size :]
    if entry[:BLOCK_SIZE] != manifest_header(size, modified_at) or any(padding):
        raise ManifestError("The manifest's tar entry is not in canonical form.")


def prefix_pieces(entry: bytes | bytearray) -> Iterator[bytes | memoryview]:
    """The package's first bytes: canonical gzip header, then the manifest's tar entry in stored blocks."""
    yield gzip_format.CANONICAL_HEADER
    yield from gzip_format.stored_blocks(entry)


def prefix_size(entry_size: int) -> int:
    """Bytes that `prefix_pieces` makes of an entry."""
    return len(gzip_format.CANONICAL_HEADER) + gzip_format.stored_size(entry_size)


def read_entry(source: Source) -> bytearray:
    """The manifest's tar entry, out of exactly those bytes that `prefix_pieces` makes of it.

    Args:
        source: The package from its first byte; afterwards it stands behind the last of these bytes.

    Raises:
        TruncatedError: The bytes end earlier.
        NotPackagedError: They do not even begin as a package does.
        ManifestError: They are others, or claim a manifest larger than is read.
    """
    _check_opening(source.peek(_NAME_START + len(_NAME)))
    gzip_header, block_header = source.read(len(gzip_format.CANONICAL_HEADER)), _read_block_header(source)
    entry = bytearray(source.read(BLOCK_SIZE))
    left = _padded(BLOCK_SIZE + _claimed_size(entry))
    canonical = gzip_header == gzip_format.CANONICAL_HEADER
    already_read = BLOCK_SIZE
    while canonical and left:
        size = min(left, gzip_format.STORED_BLOCK_MAX)
        canonical = block_header == gzip_format.stored_header(size)
        source.read_into(entry, size - already_read)
        left -= size
        already_read, block_header = 0, _read_block_header(source) if left else b""
    if not canonical:
        raise ManifestError("The package's head is not in canonical form.")
    return entry


def _check_opening(opening: bytes) -> None:
    """Tell a wrong file from a damaged package, as far as its first bytes show it."""
    if not opening:
        raise TruncatedError("The file is empty: it ends after 0 bytes.")
    if not opening.startswith(gzip_format.MAGIC[: len(opening)]):
        raise NotPackagedError("The file is not a gzip file, so it does not start with a manifest.")
    if not _NAME.startswith(opening[_NAME_START:]):
        raise NotPackagedError(
            "The file does not start with a manifest: it looks like a model artifact that has not been packaged.",
            advice="Package it first (`edgepack package`). If it was a package, somebody has compressed it anew.",
        )


def _read_block_header(source: Source) -> bytes:
    return source.read(gzip_format.STORED_BLOCK_HEADER_SIZE)


def _claimed_size(header: bytearray) -> int:
    digits = header[_SIZE_FIELD]
    if not digits.isdigit() or digits.strip(b"01234567"):
        raise ManifestError("The manifest's tar entry does not say how large the manifest is.")
    size = _size(header)
    if not 0 < size <= MANIFEST_SIZE_MAX:
        raise ManifestError(f"The manifest claims {size} bytes; 1 to {MANIFEST_SIZE_MAX} are read.")
    return size


def _size(entry: bytes | bytearray) -> int:
    return int(entry[_SIZE_FIELD], 8)


def _padded(size: int) -> int:
    return size + -size % BLOCK_SIZE
