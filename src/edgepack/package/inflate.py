"""Inflating on a thread of its own. isal releases the interpreter's lock, so parsing and hashing go on meanwhile."""

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any

from isal import igzip_lib, isal_zlib

from edgepack.package import gzip_format
from edgepack.package.errors import (
    ArchiveTooLargeError,
    ChecksumError,
    EmptyArchiveError,
    GzipError,
    TrailingDataError,
    TruncatedError,
)
from edgepack.package.limits import MIB, ArchiveLimits
from edgepack.package.source import Chunk, Source

PIECE_SIZE = MIB // 4
"""Compressed bytes handed to the inflater at once."""

BLOCK_SIZE = MIB // 2
"""Inflated bytes per block. Larger ones make malloc give memory back each time, at 0.4 s per GB in page faults. Twice
the piece, so that one of weights fits whole: with both the same, the heap fragments, to 140 MB for 4 GB."""

QUEUE_BLOCKS = 8
"""Blocks between the two threads: rides out uneven blocks, and bounds memory at 4 MiB."""

POLL_SECONDS = 0.5
"""How often a waiting thread looks whether the other one, or the job, has been stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """What precedes the stream when a package's tail is inflated: the gzip header and the manifest are read already.

    Attributes:
        crc32: CRC-32 of the inflated bytes before.
        size: Their number.
        position: Offset in the file of the stream's first byte.
    """

    crc32: int
    size: int
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inflated:
    """What the compressed side of a stream was.

    Attributes:
        deflate_start: Offset in the file of the first deflate byte.
        deflate_end: Offset behind the last deflate byte of the first gzip member.
        deflate_crc32: CRC-32 of the bytes between the two.
        crc32: CRC-32 of all inflated bytes.
        size: Number of inflated bytes.
        gzip_members: gzip members read.
    """

    deflate_start: int
    deflate_end: int
    deflate_crc32: int
    crc32: int
    size: int
    gzip_members: int


class InflateThread:
    """Inflates a source on its own thread; iterate `blocks()` and then read `result`.

    Args:
        chunks: The compressed stream; it is iterated on the new thread, in order, once.
        limits: Bounds on size and ratio.
        seed: Given for a package's tail, which starts with deflate bits and is one member.

    Attributes:
        bytes_read: Bytes of the file read so far.
        result: What the stream was; set once `blocks()` is exhausted.
    """

    def __init__(self, chunks: Iterable[Chunk], limits: ArchiveLimits, seed: Seed | None = None) -> None:
        self._source = Source(chunks, position=seed.position if seed else 0)
        self._start = self._source.position
        self._limits = limits
        self._seed = seed
        self._queue: queue.Queue[bytes | Inflated | BaseException] = queue.Queue(QUEUE_BLOCKS)
        self._stopped = threading.Event()
        self._size = 0
        self.result: Inflated | None = None

    @property
    def bytes_read(self) -> int:
        """Bytes of the file read so far, what stands before a package's tail included."""
        return self._source.position

    def blocks(self, idle: Callable[[], None] | None = None) -> Generator[bytes, None, None]:
        """Inflated blocks in order. Leaving the loop early stops the thread; it has ended when the generator is closed.

        Args:
            idle: Called about every `POLL_SECONDS` while nothing arrives; may raise to stop.

        Raises:
            ArtifactError: The stream is not acceptable.
            BaseException: Whatever the source itself raised.
        """
        # In the caller's context: the source is read on that thread, and what is logged there is about the same job.
        run = partial(copy_context().run, self._run)
        thread = threading.Thread(target=run, name="edgepack-inflate", daemon=True)
        thread.start()
        try:
            while not isinstance(item := self._next(idle), Inflated):
                yield item
            self.result = item
        finally:
            self._stopped.set()
            self._drain()
            thread.join()

    def _next(self, idle: Callable[[], None] | None) -> bytes | Inflated:
        while True:
            try:
                item = self._queue.get(timeout=POLL_SECONDS)
            except queue.Empty:
                if idle is not None:
                    idle()
                continue
            if isinstance(item, BaseException):
                raise item
            return item

    def _drain(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()

    def _run(self) -> None:
        try:
            self._put(self._inflate_all())
        except _StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised again on the consumer's thread
            self._put_last(error)

    def _put(self, item: bytes | Inflated | BaseException) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=POLL_SECONDS)
            except queue.Full:
                continue
            return
        raise _StoppedError

    def _put_last(self, error: BaseException) -> None:
        with suppress(_StoppedError):
            self._put(error)

    def _inflate_all(self) -> Inflated:
        source, seed = self._source, self._seed
        if source.at_end():
            if seed is not None:
                raise TruncatedError(f"The package ends after {source.position} bytes, where its manifest does.")
            raise EmptyArchiveError("The archive is empty: it has no bytes.")
        if seed is None:
            gzip_format.read_header(source.read)
        first = self._member(seed.crc32 if seed else 0, seed.size if seed else 0)
        members, crc32 = 1, first.crc32
        while not source.at_end():
            self._check_another_member(members)
            gzip_format.read_header(source.read)
            before = self._size
            crc32 = isal_zlib.crc32_combine(crc32, self._member(0, 0).crc32, self._size - before)
            members += 1
        return Inflated(
            deflate_start=first.deflate_start,
            deflate_end=first.deflate_end,
            deflate_crc32=first.deflate_crc32,
            crc32=crc32,
            size=self._size,
            gzip_members=members,
        )

    def _check_another_member(self, members: int) -> None:
        start = self._source.piece(2)
        self._source.give_back(start)
        if self._seed is not None or not gzip_format.MAGIC.startswith(bytes(start)):
            raise TrailingDataError(f"Something follows the end of the archive at byte {self._source.position}.")
        if members >= self._limits.gzip_members:
            raise ArchiveTooLargeError(f"The archive has more than {self._limits.gzip_members} gzip members.")

    def _member(self, crc32_before: int, size_before: int) -> "_Member":
        source, start, size_at_start = self._source, self._source.position, self._size
        inflater = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP_NO_HDR)
        deflate_crc32, piece = 0, memoryview(b"")
        while not inflater.eof:
            if inflater.needs_input:
                deflate_crc32 = isal_zlib.crc32(piece, deflate_crc32)
                piece = source.piece(PIECE_SIZE)
                self._emit(_inflated(inflater, piece, source))
            else:
                self._emit(_inflated(inflater, b"", source))
        used = len(piece) - len(inflater.unused_data)
        deflate_crc32 = isal_zlib.crc32(piece[:used], deflate_crc32)
        source.give_back(piece[used:])
        size = self._size - size_at_start
        crc32 = inflater.crc
        self._check_trailer(
            isal_zlib.crc32_combine(crc32_before, crc32, size) if size_before else crc32, size_before + size
        )
        return _Member(start, source.position - gzip_format.TRAILER_SIZE, deflate_crc32, crc32)

    def _emit(self, block: bytes) -> None:
        if not block:
            return
        self._size += len(block)
        limits = self._limits
        if self._size > limits.tar_size:
            raise ArchiveTooLargeError(f"The archive inflates to more than {limits.tar_size} bytes.")
        if self._size > limits.ratio_free_size and self._size > limits.ratio * (self._source.position - self._start):
            raise ArchiveTooLargeError(
                f"The archive inflates to more than {limits.ratio} times its size: it looks like a decompression bomb."
            )
        self._put(block)

    def _check_trailer(self, crc32: int, size: int) -> None:
        if self._source.read(gzip_format.TRAILER_SIZE) != gzip_format.trailer(crc32, size):
            raise ChecksumError("The gzip trailer's checksum or size is not that of the inflated bytes.")


@dataclass(frozen=True, slots=True)
class _Member:
    deflate_start: int
    deflate_end: int
    deflate_crc32: int
    crc32: int


class _StoppedError(Exception):
    """The consumer has gone."""


def _inflated(inflater: Any, piece: Chunk, source: Source) -> bytes:
    try:
        block: bytes = inflater.decompress(piece, BLOCK_SIZE)
    except igzip_lib.error as error:  # type: ignore[misc]  # untyped C module
        raise GzipError(f"The compressed data is damaged before byte {source.position} ({error}).") from None
    return block
