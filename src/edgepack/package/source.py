"""A stream of compressed chunks read as bytes: exact reads, pieces for the inflater, and where in the stream we are."""

from collections.abc import Iterable, Iterator

from edgepack.package.errors import TruncatedError

Chunk = bytes | bytearray | memoryview
"""What a source of bytes may yield; of any size, empty ones included."""


class Source:
    """Reads an iterable of chunks once, in order, without joining them.

    Args:
        chunks: The stream.
        position: Offset of its first byte in the file, where something else has read what stands before.

    Attributes:
        position: Offset in the file of the next byte.
    """

    def __init__(self, chunks: Iterable[Chunk], *, position: int = 0) -> None:
        self._chunks: Iterator[Chunk] = iter(chunks)
        self._current = memoryview(b"")
        self.position = position

    def at_end(self) -> bool:
        """Whether nothing is left."""
        while not self._current:
            chunk = next(self._chunks, None)
            if chunk is None:
                return True
            self._current = memoryview(chunk)
        return False

    def peek(self, size: int) -> bytes:
        """The next bytes without taking them: `size` of them, or as many as are left."""
        while len(self._current) < size and (chunk := next(self._chunks, None)) is not None:
            self._current = memoryview(b"".join((self._current, chunk))) if self._current else memoryview(chunk)
        return bytes(self._current[:size])

    def piece(self, size: int) -> memoryview:
        """The next bytes, at most `size` of them.

        Raises:
            TruncatedError: Nothing is left.
        """
        if self.at_end():
            raise TruncatedError(f"The archive ends after {self.position} bytes, in the middle of its data.")
        taken, self._current = self._current[:size], self._current[size:]
        self.position += len(taken)
        return taken

    def give_back(self, rest: memoryview) -> None:
        """Un-take bytes that the last `piece` ended with."""
        if not rest:
            return
        self._current = memoryview(b"".join((rest, self._current))) if self._current else rest
        self.position -= len(rest)

    def read(self, size: int) -> bytes:
        """Exactly `size` next bytes.

        Raises:
            TruncatedError: Fewer are left.
        """
        taken = bytearray()
        self.read_into(taken, size)
        return bytes(taken)

    def read_into(self, buffer: bytearray, size: int) -> None:
        """Append exactly `size` next bytes to a buffer.

        Raises:
            TruncatedError: Fewer are left.
        """
        while size:
            piece = self.piece(size)
            buffer += piece
            size -= len(piece)
