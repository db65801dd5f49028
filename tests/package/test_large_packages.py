"""No byte of a large package can be altered, added or taken away unnoticed: none of its filling and block headers."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import pytest

from edgepack.keys.signing import FileSigner
from edgepack.package import gzip_format
from edgepack.package.errors import VerificationError
from edgepack.package.gzip_format import ALIGNED_FROM, BODY_ALIGNMENT, EMPTY_BLOCK, STORED_BLOCK_HEADER_SIZE
from edgepack.package.head import verify_head
from edgepack.package.tar_headers import BLOCK_SIZE
from edgepack.package.trust import TrustRoots
from edgepack.package.verification import verify_package
from models import tar_gz
from package.conftest import NOW
from package.making import framed

HEADER_SIZE = len(gzip_format.CANONICAL_HEADER)
CODED_SIZE = 1 << 16
BITS = [1 << bit for bit in range(8)]


def compressed_in_two_ways(tar: bytes) -> bytes:
    """A gzip file that is stored, up to its last 64 KiB, and Huffman-coded from there."""
    stored, coded = zlib.compressobj(0, wbits=-15), zlib.compressobj(9, wbits=-15)
    first = stored.compress(tar[:-CODED_SIZE]) + stored.flush(zlib.Z_FULL_FLUSH)
    deflate = first + coded.compress(tar[-CODED_SIZE:]) + coded.flush()
    return gzip_format.CANONICAL_HEADER + deflate + gzip_format.trailer(zlib.crc32(tar), len(tar))


@dataclass(frozen=True)
class Large:
    """A package, and where its parts begin."""

    data: bytearray
    trust: TrustRoots
    filling: int
    body: int
    trailer: int

    def refuses(self, *chunks: bytes | bytearray | memoryview) -> bool:
        return not verify_package(chunks, trust=self.trust, now=NOW).ok

    def refuses_altered(self, position: int, flipped: int) -> bool:
        self.data[position] ^= flipped
        refused = self.refuses(self.data)
        self.data[position] ^= flipped
        return refused

    def stored_blocks(self) -> list[int]:
        """Where the model's stored blocks begin, the empty one before the coded ones included."""
        found, position = [], self.body
        while self.data[position] == 0:
            found.append(position)
            position += STORED_BLOCK_HEADER_SIZE + int.from_bytes(self.data[position + 1 : position + 3], "little")
        return found

    def boundaries(self) -> list[int]:
        """Where something ends and something else begins."""
        blocks = self.stored_blocks()
        starts = [HEADER_SIZE, self.filling, self.filling + len(EMPTY_BLOCK), blocks[0], blocks[1], blocks[-1]]
        entry = HEADER_SIZE + STORED_BLOCK_HEADER_SIZE
        inside = [start + STORED_BLOCK_HEADER_SIZE for start in starts]
        ends = [self.trailer, self.trailer + 4]
        return sorted({0, entry + BLOCK_SIZE, self.body - len(EMPTY_BLOCK), *starts, *inside, *ends})


@pytest.fixture(scope="module")
def large(signer: FileSigner, trust: TrustRoots) -> Iterator[Large]:
    files = {"weights": Random(1).randbytes(ALIGNED_FROM), "labels": b"cat dog bird " * 9000, "empty": b""}
    frame, deflate = framed(compressed_in_two_ways(gzip.decompress(tar_gz(files, level=0))), signer)
    size = len(frame.manifest_json)
    package = Large(
        data=bytearray(frame.prefix + deflate + frame.trailer),
        trust=trust,
        filling=HEADER_SIZE + gzip_format.stored_size(BLOCK_SIZE + size + -size % BLOCK_SIZE),
        body=len(frame.prefix),
        trailer=len(frame.prefix) + len(deflate),
    )
    assert package.body % BODY_ALIGNMENT == 0
    assert package.data[package.filling : package.body].startswith(EMPTY_BLOCK)
    assert not package.refuses(package.data)
    yield package
    assert not package.refuses(package.data)


def test_every_byte_of_the_head(large: Large) -> None:
    """gzip header, stored block, manifest and all of the filling, each byte in one of its bits."""
    for position in range(large.body):
        assert large.refuses_altered(position, BITS[position % 8]), position


def test_every_value_of_the_gzip_header_and_the_first_blocks_header(large: Large) -> None:
    for position in range(HEADER_SIZE + STORED_BLOCK_HEADER_SIZE):
        for flipped in range(1, 256):
            assert large.refuses_altered(position, flipped), (position, flipped)


def test_every_bit_at_the_fillings_edges(large: Large) -> None:
    edges = [*range(large.filling - 5, large.filling + 5), *range(large.body - 5, large.body)]
    for position in edges:
        for flipped in BITS:
            assert large.refuses_altered(position, flipped), (position, flipped)


def test_every_bit_of_the_models_block_headers(large: Large) -> None:
    """Five bits of each are padding, which no inflater looks at: only the compressed bytes' checksum shows them."""
    blocks = large.stored_blocks()
    assert len(blocks) > ALIGNED_FROM // gzip_format.STORED_BLOCK_MAX
    for start in (blocks[0], blocks[len(blocks) // 2], blocks[-1]):
        for position in range(start, start + STORED_BLOCK_HEADER_SIZE):
            for flipped in BITS:
                assert large.refuses_altered(position, flipped), (position, flipped)


def test_every_bit_of_the_trailer(large: Large) -> None:
    for position in range(large.trailer, len(large.data)):
        for flipped in BITS:
            assert large.refuses_altered(position, flipped), (position, flipped)


def test_the_models_first_last_and_other_bytes(large: Large) -> None:
    random = Random(2)
    coded = large.stored_blocks()[-1] + STORED_BLOCK_HEADER_SIZE
    edges = [*range(large.body, large.body + 40), *range(coded, coded + 40), *range(large.trailer - 40, large.trailer)]
    others = [random.randrange(large.body, large.trailer) for _ in range(300)]
    for position in edges + others:
        assert large.refuses_altered(position, random.randrange(1, 256)), position


def test_nothing_can_be_put_in_or_taken_out_or_follow(large: Large) -> None:
    whole = memoryview(bytes(large.data))
    for position in large.boundaries():
        before, after = whole[:position], whole[position:]
        for more in (b"\0", b"\xff", EMPTY_BLOCK, b"\1\0\0\xff\xff"):
            assert large.refuses(before, more, after), (position, more)
        for size in (1, len(EMPTY_BLOCK)):
            assert large.refuses(before, after[size:]), (position, size)
    for tail in (b"\0", b"\x1f", bytes(BLOCK_SIZE), gzip.compress(b""), gzip.compress(bytes(BLOCK_SIZE)), large.data):
        assert large.refuses(whole, tail)


def test_it_cannot_end_earlier(large: Large) -> None:
    whole = memoryview(bytes(large.data))
    ends = {position + by for position in large.boundaries() for by in (-1, 0, 1)}
    for end in sorted(ends | set(range(large.trailer, len(whole)))):
        assert large.refuses(whole[: max(end, 0)]), end


def test_every_block_header_of_a_long_head(signer: FileSigner, trust: TrustRoots) -> None:
    """A manifest of several stored blocks: each header's bits, and a byte now and then between them."""
    frame, _ = framed(tar_gz({f"part-{number:04}": b"%d" % number for number in range(600)}), signer)
    head = bytearray(frame.prefix)
    step = STORED_BLOCK_HEADER_SIZE + gzip_format.STORED_BLOCK_MAX
    blocks = range(HEADER_SIZE, len(head), step)
    assert len(blocks) > 2
    headers = [start + byte for start in blocks for byte in range(STORED_BLOCK_HEADER_SIZE)]
    between = range(HEADER_SIZE, len(head), 211)
    for position, flipped in [(at, bit) for at in headers for bit in BITS] + [(at, BITS[at % 8]) for at in between]:
        head[position] ^= flipped
        with pytest.raises(VerificationError):
            verify_head(bytes(head), trust=trust, now=NOW)
        head[position] ^= flipped
    verify_head(bytes(head), trust=trust, now=NOW)
