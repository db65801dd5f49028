"""The one way to spell a structure as bytes: JSON in canonical form.

RFC 8785 restricted to strings, integers, arrays and objects: sorted keys, no white space, UTF-8.
"""

import msgspec

from edgepack.package.limits import KIB

COMPARED_BYTES = 64 * KIB
"""Bytes compared at once: they stay in the processor's cache, and a comparison of whole views is ten times as slow."""

Encoded = bytes | bytearray | memoryview | msgspec.Raw
"""JSON as bytes."""

_encoder = msgspec.json.Encoder(order="deterministic")


def canonical_json(value: object) -> bytes:
    """The one spelling of a structure: keys sorted, no white space, UTF-8."""
    return _encoder.encode(value)


def encode_canonical_into(value: object, buffer: bytearray, offset: int) -> None:
    """Write the one spelling of a structure into a buffer, which is cut off behind it.

    Args:
        value: The structure.
        buffer: Grows as needed.
        offset: Where in the buffer it begins.
    """
    _encoder.encode_into(value, buffer, offset)


def is_made_of(data: Encoded, *pieces: Encoded) -> bool:
    """Whether the pieces, one behind the other, are the data: compared without copying them.

    Args:
        data: The whole.
        pieces: What it should be.
    """
    whole = memoryview(data)
    if len(whole) != sum(len(memoryview(piece)) for piece in pieces):
        return False
    position = 0
    for each in pieces:
        piece = memoryview(each)
        for start in range(0, len(piece), COMPARED_BYTES):
            part = bytes(piece[start : start + COMPARED_BYTES])
            if part != bytes(whole[position : position + len(part)]):
                return False
            position += len(part)
    return True
