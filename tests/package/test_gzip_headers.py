"""gzip headers, as RFC 1952 allows them and as it does not."""

import struct
import zlib

import pytest

from edgepack.package import errors
from edgepack.package.limits import GZIP_HEADER_SIZE_MAX
from edgepack.package.scan import scan_archive
from models import compiled_archive
from package.splicing import chunked

BODY = compiled_archive()[10:]
TEXT, HEADER_CRC, EXTRA, NAME, COMMENT = 1, 2, 4, 8, 16


def header(flags: int, rest: bytes = b"", *, method: int = 8) -> bytes:
    return b"\x1f\x8b" + bytes([method, flags]) + b"\x01\x02\x03\x04\x02\x03" + rest


def with_crc(start: bytes) -> bytes:
    return start + struct.pack("<H", zlib.crc32(start) & 0xFFFF)


@pytest.mark.parametrize(
    "start",
    [
        header(0),
        header(TEXT),
        header(NAME, b"model.tar\0"),
        header(NAME, b"\0"),
        header(NAME | COMMENT, b"model.tar\0a comment\0"),
        header(EXTRA, b"\x06\x00BC\x02\x00\x1b\x00"),
        header(EXTRA, b"\xff\xff" + bytes(65535)),
        with_crc(header(HEADER_CRC)),
        with_crc(header(HEADER_CRC | EXTRA | NAME | COMMENT, b"\x02\x00xxname\0comment\0")),
    ],
    ids=["plain", "text", "name", "empty name", "comment", "extra", "long extra", "checksum", "all"],
)
@pytest.mark.parametrize("chunk", [1, 7, 100_000])
def test_any_right_header_is_taken_off(start: bytes, chunk: int) -> None:
    scan = scan_archive(chunked(start + BODY, chunk))
    assert scan.deflate_start == len(start)
    assert scan.deflate_end == len(start) + len(BODY) - 8


@pytest.mark.parametrize(
    ("start", "error", "says"),
    [
        (header(0, method=7), errors.GzipError, "method 7"),
        (header(0x20), errors.GzipError, "flags 0x20"),
        (header(0x80), errors.GzipError, "flags 0x80"),
        (header(HEADER_CRC, b"\0\0"), errors.GzipError, "header's own checksum"),
        (header(NAME, b"n" * (GZIP_HEADER_SIZE_MAX + 1) + b"\0"), errors.GzipError, "longer than"),
        (header(COMMENT, b"n" * (GZIP_HEADER_SIZE_MAX + 1) + b"\0"), errors.GzipError, "longer than"),
        (b"\x1f\x8c", errors.NotGzipError, "not a gzip file"),
        (b"\x78\x9c", errors.NotGzipError, "not a gzip file"),
    ],
)
def test_a_wrong_header_is_refused(start: bytes, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        scan_archive([start + BODY])


def test_a_header_cut_short_is_told_from_a_wrong_one() -> None:
    whole = with_crc(header(HEADER_CRC | EXTRA | NAME | COMMENT, b"\x02\x00xxname\0comment\0"))
    for size in range(1, len(whole)):
        with pytest.raises(errors.TruncatedError):
            scan_archive([whole[:size]])


def test_damaged_deflate_data_is_an_error_of_the_archive() -> None:
    with pytest.raises(errors.GzipError, match="damaged"):
        scan_archive([header(0) + b"\x07" + BODY])
