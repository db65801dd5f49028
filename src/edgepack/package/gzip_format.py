"""The gzip file format (RFC 1952) and deflate's stored blocks (RFC 1951, 3.2.4), as far as packages need them."""

import struct
from collections.abc import Callable, Iterator

from isal import isal_zlib

from edgepack.package.errors import GzipError, NotGzipError
from edgepack.package.limits import GZIP_HEADER_SIZE_MAX, MIB

MAGIC = b"\x1f\x8b"
METHOD_DEFLATE = 8
FLAG_HEADER_CRC, FLAG_EXTRA, FLAG_NAME, FLAG_COMMENT = 0x02, 0x04, 0x08, 0x10
FLAGS_RESERVED = 0xE0
HEADER_CRC_SIZE = 2
"""Bytes of the header's own checksum, where it has one."""

CANONICAL_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""The header of every package: no flags, no time, no compression hint, unknown system. Nothing to hide anything in."""

STORED_BLOCK_MAX = 65535
"""Bytes in one stored deflate block: its length field has 16 bits."""

STORED_BLOCK_HEADER_SIZE = 5
EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"
"""A stored block of nothing."""

BODY_ALIGNMENT = 4096
"""Bytes: the block size of common file systems, which can put whole blocks in front of a file without copying it."""

ALIGNED_FROM = 16 * MIB
"""Bytes of a deflate stream from which on a package's prefix is a multiple of `BODY_ALIGNMENT`. Filling up takes 20 kB
at most, which is nothing to those; and small packages stay small."""

TRAILER_SIZE = 8
"""Bytes of a member's trailer: CRC-32 and ISIZE (inflated size modulo 2**32), both little endian."""

ReadExactly = Callable[[int], bytes]
"""Returns that many next bytes, or raises TruncatedError."""


def read_header(read: ReadExactly) -> int:
    """Read one member's header, however its flags are set.

    Args:
        read: Gives the next bytes.

    Returns:
        The header's size in bytes.

    Raises:
        NotGzipError: It does not start as gzip does.
        GzipError: Unknown method, reserved flags, or a wrong header checksum.
        TruncatedError: The bytes end inside it.
    """
    header = bytearray(read(2))
    if header != MAGIC:
        raise NotGzipError("The model artifact is not a gzip file.")
    header += read(8)
    method, flags = header[2], header[3]
    if method != METHOD_DEFLATE or flags & FLAGS_RESERVED:
        raise GzipError(
            f"The gzip header asks for method {method} and flags {flags:#04x}, which RFC 1952 does not define."
        )
    if flags & FLAG_EXTRA:
        size = read(2)
        header += size + read(int.from_bytes(size, "little"))
    for flag in (FLAG_NAME, FLAG_COMMENT):
        if flags & flag:
            header += _zero_terminated(read, at_most=GZIP_HEADER_SIZE_MAX - len(header) - HEADER_CRC_SIZE)
    if flags & FLAG_HEADER_CRC:
        _check_header_crc(bytes(header), read(HEADER_CRC_SIZE))
        return len(header) + HEADER_CRC_SIZE
    return len(header)


def _zero_terminated(read: ReadExactly, *, at_most: int) -> bytes:
    text = bytearray()
    while not text.endswith(b"\0"):
        if len(text) >= at_most:
            raise GzipError(f"The gzip header is longer than {GZIP_HEADER_SIZE_MAX} bytes.")
        text += read(1)
    return bytes(text)


def _check_header_crc(header: bytes, stored: bytes) -> None:
    if isal_zlib.crc32(header) & 0xFFFF != int.from_bytes(stored, "little"):
        raise GzipError("The gzip header's own checksum is wrong.")


def stored_blocks(data: bytes | bytearray) -> Iterator[bytes | memoryview]:
    """`data` as non-final stored deflate blocks, which end on a byte boundary: any deflate stream may follow them.

    Args:
        data: What the blocks inflate to; at least one byte.

    Yields:
        Block headers and payloads in turn.
    """
    view = memoryview(data)
    for start in range(0, len(data), STORED_BLOCK_MAX):
        block = view[start : start + STORED_BLOCK_MAX]
        yield stored_header(len(block))
        yield block


def stored_header(size: int, *, final: bool = False) -> bytes:
    """The header of one stored block that begins on a byte boundary.

    Args:
        size: Bytes of the block, at most `STORED_BLOCK_MAX`.
        final: Whether the deflate stream ends with it.
    """
    return struct.pack("<BHH", final, size, size ^ 0xFFFF)


def stored_size(size: int) -> int:
    """Bytes that `stored_blocks` makes of `size` bytes."""
    return size + -(-size // STORED_BLOCK_MAX) * STORED_BLOCK_HEADER_SIZE


def filling(prefix_size: int, deflate_size: int) -> bytes:
    """The empty blocks behind a prefix that make its size a multiple of `BODY_ALIGNMENT`, where the package is large.

    Args:
        prefix_size: Bytes of gzip header and stored blocks.
        deflate_size: Bytes of the deflate stream that follows.
    """
    if deflate_size < ALIGNED_FROM:
        return b""
    missing = -prefix_size * pow(len(EMPTY_BLOCK), -1, BODY_ALIGNMENT)
    return EMPTY_BLOCK * (missing % BODY_ALIGNMENT)


def trailer(crc32: int, size: int) -> bytes:
    """A member's trailer.

    Args:
        crc32: CRC-32 of the inflated bytes.
        size: Their number; the field keeps it modulo 2**32.
    """
    return struct.pack("<II", crc32, size & 0xFFFFFFFF)
