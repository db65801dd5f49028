"""One pass over a model artifact: inflated on one thread, parsed and hashed on the caller's, in bounded memory."""

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass

from edgepack.package.inflate import InflateThread, Seed
from edgepack.package.limits import DEFAULT_LIMITS, ArchiveLimits
from edgepack.package.source import Chunk
from edgepack.package.tar_stream import Contents, FileEntry, TarReader

__all__ = ["ArchiveScan", "Contents", "FileEntry", "Progress", "scan_archive", "scan_tail"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan has come.

    Attributes:
        bytes_read: Bytes of the file read, of a package its prefix included.
        bytes_inflated: Inflated bytes parsed and hashed.
        files: Files completed.
    """

    bytes_read: int
    bytes_inflated: int
    files: int


Observer = Callable[[Progress], None]
"""Is told the progress after each block of at most 512 KiB, and every half second otherwise; may raise to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveScan:
    """All that is known of an archive after one pass.

    Attributes:
        files: Its regular files, in archive order.
        deflate_start: Offset in the source of the first deflate byte.
        deflate_end: Offset behind the last deflate byte (of the first gzip member).
        deflate_crc32: CRC-32 of `source[deflate_start:deflate_end]`.
        crc32: CRC-32 of the tar stream.
        tar_size: Bytes of the tar stream.
        framing_sha256: Hex SHA-256 of the tar stream without the files' contents.
        gzip_members: gzip members of the source.
    """

    files: tuple[FileEntry, ...]
    deflate_start: int
    deflate_end: int
    deflate_crc32: int
    crc32: int
    tar_size: int
    framing_sha256: str
    gzip_members: int = 1

    @property
    def spliceable(self) -> bool:
        """Whether the source's deflate bytes can stand in a package as they are."""
        return self.gzip_members == 1

    @property
    def not_spliceable_because(self) -> str | None:
        """The reason, where `spliceable` is false: for logs and status messages."""
        return None if self.spliceable else f"the archive has {self.gzip_members} gzip members"

    @property
    def deflate_size(self) -> int:
        """Bytes of the deflate stream."""
        return self.deflate_end - self.deflate_start


def scan_archive(
    chunks: Iterable[Chunk],
    *,
    limits: ArchiveLimits = DEFAULT_LIMITS,
    observe: Observer | None = None,
    contents: Contents | None = None,
) -> ArchiveScan:
    """Read a `.tar.gz` once, check every rule about it, and hash each file.

    Args:
        chunks: The archive's bytes in order. **Iterated on another thread**, once; a generator may tee them elsewhere.
            It is not closed here.
        limits: Bounds against decompression bombs.
        observe: Told the progress on the caller's thread; what it raises ends the scan and comes out of it.
        contents: Takes what the members hold, on the caller's thread, likewise; before the archive is known to be good
            to its end.

    Returns:
        What a manifest needs to know.

    Raises:
        ArtifactError: The archive is not acceptable; the subclass says why and the message names the member.
        BaseException: What `chunks`, `observe` or `contents` raised. The inflating thread has ended by then.
    """
    files: list[FileEntry] = []
    inflate = InflateThread(chunks, limits)
    reader = TarReader(limits, files.append, contents)
    return scan_of(inflate, read_blocks(inflate, reader, files, observe), files)


def scan_tail(
    chunks: Iterable[Chunk],
    *,
    seed: Seed,
    files: list[FileEntry],
    limits: ArchiveLimits = DEFAULT_LIMITS,
    observe: Observer | None = None,
) -> ArchiveScan:
    """Read what follows a package's prefix: the deflate stream of the model's members, and the trailer.

    Args:
        chunks: The bytes from the first one behind the prefix; iterated on another thread.
        seed: CRC-32 and size of what the prefix inflates to, which the trailer covers too; and where `chunks` begins.
        files: Receives each file as it is completed, so that it is filled also when this raises.
        limits: Bounds against decompression bombs.
        observe: As for `scan_archive`.

    Returns:
        The scan; offsets are those in the file, `crc32` and `tar_size` leave the prefix out.

    Raises:
        ArtifactError: As for `scan_archive`.
    """
    inflate = InflateThread(chunks, limits, seed)
    return scan_of(inflate, read_blocks(inflate, TarReader(limits, files.append), files, observe), files)


def read_blocks(
    inflate: InflateThread,
    reader: TarReader,
    files: list[FileEntry],
    observe: Observer | None,
    *,
    also: Callable[[bytes], None] | None = None,
) -> str:
    """Run the inflated blocks through the tar reader; the hex SHA-256 of the tar stream without the files' contents.

    Args:
        inflate: The stream; its `result` is set afterwards.
        reader: The reader, which fills `files`.
        files: Each file as it is completed.
        observe: As for `scan_archive`.
        also: Receives each block once the reader has accepted it.
    """

    def report() -> None:
        if observe is not None:
            observe(Progress(inflate.bytes_read, reader.size, len(files)))

    with closing(inflate.blocks(report)) as blocks:
        for block in blocks:
            reader.feed(block)
            if also is not None:
                also(block)
            report()
    return reader.finish()


def scan_of(inflate: InflateThread, framing: str, files: list[FileEntry]) -> ArchiveScan:
    """What is known of an archive, after `read_blocks`.

    Args:
        inflate: The stream, exhausted.
        framing: What `read_blocks` returned.
        files: What it filled.
    """
    inflated = inflate.result
    assert inflated is not None
    return ArchiveScan(
        files=tuple(files),
        deflate_start=inflated.deflate_start,
        deflate_end=inflated.deflate_end,
        deflate_crc32=inflated.deflate_crc32,
        crc32=inflated.crc32,
        tar_size=inflated.size,
        framing_sha256=framing,
        gzip_members=inflated.gzip_members,
    )
