"""How a package is cut into the parts of a multipart upload: arithmetic only.

A package is a prefix (known at the end of the scan), the source's deflate bytes, and an eight-byte trailer. The first
part holds the prefix and as many deflate bytes as a part must have at least; it is sent last. The deflate bytes after
it are sent while the scan still runs, either copied by the store itself or uploaded; the trailer ends the last part.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

MIB: Final = 1 << 20
GIB: Final = 1 << 30
TIB: Final = 1 << 40

MIN_PART_BYTES: Final = 5 * MIB
MAX_PART_BYTES: Final = 5 * GIB
MAX_PARTS: Final = 10_000
MAX_OBJECT_BYTES: Final = 5 * TIB
"""Limits of S3's multipart uploads. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""

COPY_PART_BYTES: Final = 64 * MIB
"""Bytes of a part that the store copies, if the object is not so large that the parts must be larger. A copy cannot be
interrupted, so this is also what a stopped job may have to wait for: less than a second against the embedded store."""

UPLOAD_PART_BYTES: Final = 5 * MIB
"""Bytes of a part that is uploaded, likewise. Parts on their way and the one being filled are held in memory."""

PARTS_IN_FLIGHT: Final = 2
"""Parts on their way at once, while they are small enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRange:
    """One part made of source bytes alone.

    Attributes:
        number: Part number.
        first: Offset in the source of its first byte.
        last: Offset of its last byte, inclusive.
    """

    number: int
    first: int
    last: int

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PartPlan:
    """Which source bytes go into which part.

    Attributes:
        held_end: Offset in the source behind the bytes that wait for the prefix; they start at the deflate data.
        middle: The parts in between, in order, numbered from 2 without gaps; the last one ends with the deflate data.
    """

    held_end: int
    middle: tuple[PartRange, ...]

    @property
    def last_number(self) -> int:
        """Number of the part that ends with the trailer."""
        return len(self.middle) + 2


def needs_parts(body_start: int, body_end: int) -> bool:
    """Whether a package is large enough to be cut into parts; smaller ones are one part.

    Args:
        body_start: Offset in the source of the first deflate byte.
        body_end: Offset behind the last one.
    """
    return body_end - body_start >= 2 * MIN_PART_BYTES


def plan_copies(body_start: int, body_end: int) -> PartPlan:
    """Cut so that the store copies everything but the held bytes; the last part is the trailer alone.

    Args:
        body_start: Offset in the source of the first deflate byte.
        body_end: Offset behind the last one; `needs_parts` holds.
    """
    held_end = body_start + MIN_PART_BYTES
    length = body_end - held_end
    count = max(1, length // max(COPY_PART_BYTES, -(-length // (MAX_PARTS - 2))))
    # Evenly, so that none is too small: the parts differ by one byte at most.
    edges = [held_end + length * index // count for index in range(count + 1)]
    return PartPlan(held_end=held_end, middle=_ranges(edges))


def upload_part_size(length: int) -> int:
    """Bytes per uploaded part for that many bytes: the usual size up to 52 GB, more only where the parts would run out.

    Args:
        length: Bytes to upload, at least as good as known; a little more never takes more than `MAX_PARTS` - 2 parts.
    """
    needed = -(-length // (MAX_PARTS - 2))
    return max(UPLOAD_PART_BYTES, -(-needed // MIB) * MIB)


def parts_in_flight(part_size: int) -> int:
    """Uploaded parts on their way at once: very large ones go one by one, or memory would grow with the object."""
    return max(1, min(PARTS_IN_FLIGHT, PARTS_IN_FLIGHT * UPLOAD_PART_BYTES // part_size))


def _ranges(edges: list[int]) -> tuple[PartRange, ...]:
    pairs = enumerate(pairwise(edges), start=2)
    return tuple(PartRange(number=number, first=start, last=end - 1) for number, (start, end) in pairs)
