"""What is found in an archive, and what of it goes into a package."""

import gzip
from collections.abc import Iterator

from edgepack.package.repack import repack
from edgepack.package.scan import ArchiveScan, scan_archive


def chunked(data: bytes, size: int = 65_537) -> Iterator[bytes]:
    """The bytes in pieces of an odd size."""
    return (data[start : start + size] for start in range(0, len(data), size))


def scanned(*blocks: bytes) -> ArchiveScan:
    """What edgepack finds in these blocks of a tar stream."""
    return scan_archive([gzip.compress(b"".join(blocks))])


def paths(*blocks: bytes) -> list[str]:
    """The files that it finds there."""
    return [file.path for file in scanned(*blocks).files]


def spliced(archive: bytes) -> tuple[ArchiveScan, bytes]:
    """An archive's scan and its deflate stream; a new one where its own cannot be spliced.

    Raises:
        ArtifactError: edgepack refuses the archive.
    """
    scan = scan_archive(chunked(archive))
    if scan.spliceable:
        return scan, archive[scan.deflate_start : scan.deflate_end]
    pieces: list[bytes] = []
    return repack(chunked(archive), emit=pieces.append), b"".join(pieces)
