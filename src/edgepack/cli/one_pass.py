"""A package's file that takes the model while it is scanned, before the manifest that stands in front of it is known.

The deflate stream is written at a place of its own in the new file, past the page cache, while the scan goes on. Then
the file system drops or inserts whole blocks in front of it, until exactly the prefix fits there: that of a large
package is whole blocks (docs/package-format.md). Not every file system can do that; where it cannot, the package is
written the usual way, after the scan.
"""

import ctypes
import fcntl
import mmap
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from edgepack.package.assembly import PackageFrame
from edgepack.package.gzip_format import ALIGNED_FROM, BODY_ALIGNMENT
from edgepack.package.limits import MIB

RESERVED = 1 * MIB
"""Bytes left in front of the body: manifests of up to some 2,500 files; larger ones have blocks inserted."""

BUFFER_SIZE = 4 * MIB
"""Bytes of one write. Direct ones of 1 to 8 MiB were measured equally fast."""

BUFFERS = 3
"""One is being filled while two are on their way."""

FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE = 0x08, 0x20
"""From linux/falloc.h (fallocate(2))."""


class OnePassFile:
    """Writes one package into a new, empty file.

    Args:
        descriptor: The file, open for reading and writing.
        size: Bytes of the source: as many are allocated at once, so that a full disk shows before the work is done.

    Raises:
        OSError: The disk is full.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._free = [mmap.mmap(-1, BUFFER_SIZE) for _ in range(BUFFERS)]
        self._buffer = self._free.pop()
        self._filled = 0
        self._offset = RESERVED
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="edgepack-write")
        self._writing: deque[Future[mmap.mmap]] = deque()
        os.posix_fallocate(descriptor, 0, RESERVED + size)
        self._direct(on=True)

    def take(self, data: memoryview) -> None:
        """The next bytes of the body.

        Raises:
            OSError: Writing failed, perhaps of earlier bytes.
        """
        while data:
            part = data[: BUFFER_SIZE - self._filled]
            self._buffer[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            data = data[len(part) :]
            if self._filled == BUFFER_SIZE:
                self._send()

    def finish(self, frame: PackageFrame) -> None:
        """Make the package of what was taken.

        Args:
            frame: What goes around it: in front, whole blocks. What was taken behind its `deflate_size` bytes is cut
                off.

        Raises:
            OSError: Writing failed.
        """
        size = frame.prefix_size
        assert size % BODY_ALIGNMENT == 0
        if self._filled:
            self._send()
        self._settle()
        _fit(self._descriptor, size)
        os.ftruncate(self._descriptor, size + frame.deflate_size)
        position = 0
        for piece in frame.prefix_pieces():
            _write_at(self._descriptor, piece, position)
            position += len(piece)
        _write_at(self._descriptor, frame.trailer, size + frame.deflate_size)

    def abandon(self) -> None:
        """Leave the file empty, for ordinary writes.

        Raises:
            OSError: Writing failed.
        """
        self._settle()
        os.ftruncate(self._descriptor, 0)

    def close(self) -> None:
        """End the thread; whatever is still being written is finished first."""
        self._writer.shutdown()

    def _settle(self) -> None:
        while self._writing:
            self._free.append(self._writing.popleft().result())
        self._direct(on=False)

    def _send(self) -> None:
        # Direct writes are of whole blocks; what the last one has too much is cut off afterwards.
        size = self._filled + -self._filled % BODY_ALIGNMENT
        self._writing.append(self._writer.submit(self._write, self._buffer, size, self._offset))
        self._offset, self._filled = self._offset + size, 0
        if not self._free:
            self._free.append(self._writing.popleft().result())
        self._buffer = self._free.pop()

    def _write(self, buffer: mmap.mmap, size: int, offset: int) -> mmap.mmap:
        with memoryview(buffer) as whole:
            _write_at(self._descriptor, whole[:size], offset)
        return buffer

    def _direct(self, *, on: bool) -> None:
        """Past the page cache, which takes thrice the CPU time. A file system that cannot gets ordinary writes."""
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        with suppress(OSError):
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags | os.O_DIRECT if on else flags & ~os.O_DIRECT)


def takes_one_pass(descriptor: int, size: int) -> bool:
    """Whether a package may be written so: it is large, and the file system can move a file's blocks.

    Args:
        descriptor: The new, empty file; it is empty again afterwards.
        size: Bytes of the source.
    """
    if size < 2 * ALIGNED_FROM:
        return False
    try:
        os.ftruncate(descriptor, 2 * BODY_ALIGNMENT)
        _fallocate(descriptor, FALLOC_FL_COLLAPSE_RANGE, BODY_ALIGNMENT)
        _fallocate(descriptor, FALLOC_FL_INSERT_RANGE, BODY_ALIGNMENT)
    except OSError:
        return False
    finally:
        os.ftruncate(descriptor, 0)
    return True


def _fit(descriptor: int, prefix_size: int) -> None:
    """Make the space in front of the body as large as the prefix."""
    if prefix_size < RESERVED:
        _fallocate(descriptor, FALLOC_FL_COLLAPSE_RANGE, RESERVED - prefix_size)
    elif prefix_size > RESERVED:
        _fallocate(descriptor, FALLOC_FL_INSERT_RANGE, prefix_size - RESERVED)


def _fallocate(descriptor: int, mode: int, size: int) -> None:
    fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate64", None)
    if fallocate is None:
        raise OSError("this C library has no fallocate")
    if fallocate(descriptor, mode, ctypes.c_int64(0), ctypes.c_int64(size)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _write_at(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
