"""Compressing what is worth it: pieces that hardly shrink are stored, which takes next to no time.

Quantised and encrypted weights do not shrink at all, and they are most of the bytes of the models that hold them.
"""

from collections.abc import Callable
from typing import Any

from isal import isal_zlib

from edgepack.package import gzip_format
from edgepack.package.limits import KIB

COMPRESSION_LEVEL = 1
"""Of isal's 0 to 3: weights hardly shrink at any, and higher ones cost time."""

PIECE_SIZE = 512 * KIB
"""Bytes that are compressed or stored together."""

SAMPLE_SIZE = 32 * KIB
"""Bytes from the middle of a piece that are compressed to see how it will do: deflate's window."""

WORTHWHILE = 0.97
"""Compressed bytes per byte of the sample above which the piece is stored. Normally distributed weights come to 0.92
as float32 and float16, 0.78 as bfloat16, 0.93 as int8, 0.95 as packed int4; evenly distributed ones to 1.0."""


class AdaptiveDeflater:
    """Makes one deflate stream.

    Args:
        emit: Receives the stream piece by piece.
    """

    def __init__(self, emit: Callable[[bytes], None]) -> None:
        self._emit = emit
        self._pending = bytearray()
        self._compressor = _compressor()
        self._storing = False

    def take(self, data: bytes) -> None:
        """The next bytes."""
        self._pending += data
        while len(self._pending) >= PIECE_SIZE:
            self._take_piece(self._pending[:PIECE_SIZE])
            del self._pending[:PIECE_SIZE]

    def finish(self) -> None:
        """There are no more bytes: end the stream."""
        if self._pending:
            self._take_piece(self._pending)
        if self._storing:
            self._emit(gzip_format.stored_header(0, final=True))
        else:
            self._emit(self._compressor.flush())

    def _take_piece(self, piece: bytearray) -> None:
        storing = not _is_worthwhile(piece)
        if storing and not self._storing:
            # On a byte boundary, where stored blocks may begin; what comes after them refers to nothing before.
            self._emit(self._compressor.flush(isal_zlib.Z_SYNC_FLUSH))
            self._compressor = _compressor()
        self._storing = storing
        if storing:
            self._emit(b"".join(gzip_format.stored_blocks(piece)))
        else:
            self._emit(self._compressor.compress(piece))


def _is_worthwhile(piece: bytearray) -> bool:
    middle = max(0, len(piece) - SAMPLE_SIZE) // 2
    sample = piece[middle : middle + SAMPLE_SIZE]
    return len(isal_zlib.compress(sample, COMPRESSION_LEVEL, -isal_zlib.MAX_WBITS)) <= WORTHWHILE * len(sample)


def _compressor() -> Any:
    return isal_zlib.compressobj(COMPRESSION_LEVEL, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)
