"""Huffman codes that leave bit patterns without a symbol: whoever cannot read them fails, and nobody reads otherwise.

Each block here is dynamic, holds nothing but its end, and is followed by a stored block's first three bits.
"""

import subprocess
import tarfile
import zlib

import pytest

from edgepack.package import gzip_format
from edgepack.package.scan import scan_archive
from package.odd_archives import file
from package.tar_blocks import END
from package.tar_readers import PYTHON, ReaderFailedError, as_packaged, programs

READERS = programs() | PYTHON
TAR = file() + END

INCOMPLETE = {
    "one literal of two bits": "0480010500000080febf0e00",
    "two literals, of one bit and two": "04c001010000008010ff572700",
    "one distance of two bits": "04c001010000008010ff572b00",
    "two distances of two bits": "04c101010000008010ff57ab00",
    "three code lengths of two bits": "04c001090000000020fba7d600",
}
ALLOWED = {
    "one literal of one bit": "04c0010500000000a0ffaf03",
    "one distance of one bit": "04c081000000000010ffd504",
    "no distance": "04c0010500000000a0feaf4e00",
}


def behind(block: str) -> bytes:
    """An archive whose tar stream, stored, stands behind this block."""
    stored = b"".join(gzip_format.stored_blocks(TAR))
    deflate = bytes.fromhex(block) + stored[1:] + b"\1\0\0\xff\xff"
    return gzip_format.CANONICAL_HEADER + deflate + gzip_format.trailer(zlib.crc32(TAR), len(TAR))


def gzip_accepts(archive: bytes) -> bool:
    return subprocess.run(["gzip", "-t"], input=archive, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("block", INCOMPLETE.values(), ids=INCOMPLETE)
def test_an_incomplete_code_is_packaged_and_unpacked_by_nobody_else(block: str) -> None:
    """A limit of the inflater, which does not look for them: see docs/package-format.md."""
    archive = behind(block)
    assert [entry.path for entry in scan_archive([archive]).files] == ["a"]
    assert not gzip_accepts(archive)
    for read in READERS.values():
        with pytest.raises((ReaderFailedError, zlib.error, tarfile.ReadError)):
            read(archive)


@pytest.mark.parametrize("block", ALLOWED.values(), ids=ALLOWED)
def test_the_incomplete_codes_that_everybody_reads(block: str) -> None:
    view, packaged = as_packaged(behind(block))
    assert gzip_accepts(packaged)
    for name, read in READERS.items():
        assert read(packaged) == view, name
