"""Compressing anew what cannot be spliced: archives of several gzip members.

The tar stream stays as it is, byte for byte; only its compression changes, to one deflate stream.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from isal import isal_zlib

from edgepack.package.deflating import AdaptiveDeflater
from edgepack.package.inflate import InflateThread
from edgepack.package.limits import DEFAULT_LIMITS, ArchiveLimits
from edgepack.package.scan import ArchiveScan, FileEntry, Observer, read_blocks, scan_of
from edgepack.package.source import Chunk
from edgepack.package.tar_stream import TarReader


def repack(
    chunks: Iterable[Chunk],
    *,
    limits: ArchiveLimits = DEFAULT_LIMITS,
    observe: Observer | None = None,
    emit: Callable[[bytes], None],
) -> ArchiveScan:
    """Scan an archive and compress its tar stream anew, in one pass and bounded memory.

    Args:
        chunks: The archive's bytes; as for `scan_archive`.
        limits: Bounds against decompression bombs.
        observe: As for `scan_archive`.
        emit: Receives the new deflate stream piece by piece, on the caller's thread.

    Returns:
        The scan; its offsets and its `deflate_crc32` are those of the emitted stream, which starts at 0.

    Raises:
        ArtifactError: As for `scan_archive`.
        BaseException: What `chunks`, `observe` or `emit` raised.
    """
    size = crc32 = 0

    def take(piece: bytes) -> None:
        nonlocal size, crc32
        if piece:
            size, crc32 = size + len(piece), isal_zlib.crc32(piece, crc32)
            emit(piece)

    deflater = AdaptiveDeflater(take)
    files: list[FileEntry] = []
    inflate = InflateThread(chunks, limits)
    reader = TarReader(limits, files.append)
    framing = read_blocks(inflate, reader, files, observe, also=deflater.take)
    deflater.finish()
    found = scan_of(inflate, framing, files)
    return replace(found, deflate_start=0, deflate_end=size, deflate_crc32=crc32, gzip_members=1)
