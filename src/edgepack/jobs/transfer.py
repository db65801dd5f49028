"""From the compiled model in one store to the package in another: one pass over the bytes, bounded memory.

The source is read once, by ranges, and inflated once. What the store can copy itself is never sent.
"""

import hashlib
import logging
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from functools import cached_property

from edgepack.errors import ArtifactError
from edgepack.jobs.known_archives import KnownArchive
from edgepack.jobs.transfer_destination import Destination
from edgepack.jobs.transfer_parts import MIN_PART_BYTES, needs_parts, plan_copies
from edgepack.jobs.transfer_terms import PackagedObject, Signing, TransferProgress
from edgepack.jobs.transfer_writers import (
    CopyingWriter,
    CopyRefusedError,
    PackageWriter,
    UploadingWriter,
    aborted_on_error,
)
from edgepack.objects.info import ObjectInfo
from edgepack.objects.store import ObjectStore
from edgepack.package.errors import EmptyArchiveError
from edgepack.package.gzip_format import TRAILER_SIZE, read_header
from edgepack.package.limits import GZIP_HEADER_SIZE_MAX
from edgepack.package.repack import repack
from edgepack.package.scan import ArchiveScan, Progress, scan_archive
from edgepack.package.source import Source

log = logging.getLogger(__name__)

REPACKED_GROWTH = 3
"""How much larger an archive may become by repacking, which settles the size of parts: level 1 made source text 1.2
times as large as level 9 does, weights no larger, one line repeated for ever 2.1 times."""


class SourceReplacedError(ArtifactError):
    """The compiled model is not the one that its compilation job wrote."""

    code = "CompiledModelReplaced"
    advice = "Run the compilation job again, under a new name, and package what it writes."


def package_object(  # noqa: PLR0913 - keyword-only
    *,
    store_in: ObjectStore,
    source: ObjectInfo,
    written_etag: str | None,
    destination: Destination,
    signing: Signing,
    checkpoint: Callable[[TransferProgress], None],
    find_known: Callable[[], KnownArchive | None] = lambda: None,
) -> PackagedObject:
    """Package an object.

    Args:
        store_in: Where the model artifact is.
        source: The version to package.
        written_etag: ETag of the artifact as its compilation job wrote it; None if that is not known.
        destination: Where the package goes.
        signing: How it is signed.
        checkpoint: Told the progress at least every half second; what it raises ends the transfer and comes out of it.
        find_known: Called if the store can copy the source: what is known of this very version, if anything is. Then it
            is not read.

    Returns:
        What was written.

    Raises:
        ArtifactError: The archive is not acceptable, or not the compilation job's; nothing was written.
        StoreError: A store refused or failed. What could not be removed again is noted with the destination.
    """
    if source.size == 0:
        raise EmptyArchiveError(f"The model artifact {source.address} is empty: it has no bytes.")
    transfer = _Transfer(store_in, source, written_etag, destination, signing, checkpoint)
    try:
        packaged = transfer.reuse(find_known) or transfer.splice()
    except CopyRefusedError as error:
        log.info("%s is uploaded instead: %s", destination.target, error.message)
        packaged = transfer.splice(copying=False)
    return packaged or transfer.repack()


class _Transfer:
    def __init__(  # noqa: PLR0913, PLR0917 - those of `package_object`
        self,
        store_in: ObjectStore,
        source: ObjectInfo,
        written_etag: str | None,
        destination: Destination,
        signing: Signing,
        checkpoint: Callable[[TransferProgress], None],
    ) -> None:
        self._store_in = store_in
        self._source = source
        self._written_etag = written_etag
        self._destination = destination
        self._signing = signing
        self._checkpoint = checkpoint
        self._known_from: str | None = None

    def reuse(self, find_known: Callable[[], KnownArchive | None]) -> PackagedObject | None:
        """Have the store copy the source, and sign what is known of it; None if it cannot, or nothing is."""
        start, end = self._body
        known = find_known() if self._can_copy else None
        if known is None:
            return None
        scan = known.scan_from(start)
        if scan.deflate_end != end or self._trailer() != known.trailer:
            log.info("%s is scanned anew: it is not the body that was signed", self._source.address)
            return None
        self._known_from = known.job_name
        writer = self._copying_writer()
        with aborted_on_error(writer), closing(self._held()) as chunks:
            for chunk in chunks:
                writer.take(memoryview(chunk))
            writer.await_copies(self._go_on)
            self._store_in.require_unchanged(self._source)
            return self._finish(writer, scan)

    def splice(self, *, copying: bool = True) -> PackagedObject | None:
        """Put the frame around the source's own deflate bytes; None if they cannot stand as they are."""
        self._known_from = None
        start, end = self._body
        writer = self._splicing_writer(copying=copying)
        with aborted_on_error(writer), closing(self._tee(writer, start, end)) as chunks:
            scan = scan_archive(chunks, observe=self._observe)
            if (scan.gzip_members, scan.deflate_start, scan.deflate_end) == (1, start, end):
                return self._finish(writer, scan)
            writer.abort()
        return None

    def repack(self) -> PackagedObject:
        """Inflate and compress anew what cannot be spliced."""
        writer = UploadingWriter(self._destination, body_size=REPACKED_GROWTH * self._source.size)
        with aborted_on_error(writer), closing(self._store_in.stream(self._source)) as chunks:
            scan = repack(chunks, observe=self._observe, emit=lambda piece: writer.take(memoryview(piece)))
            return replace(self._finish(writer, scan), repacked=True)

    def _finish(self, writer: PackageWriter, scan: ArchiveScan) -> PackagedObject:
        # Only now, so that an archive with a fault of its own is told that fault.
        if self._written_etag not in {None, self._source.etag}:
            raise SourceReplacedError(f"{self._source.address} has been replaced since its compilation job wrote it.")
        frame = self._signing.frame(scan)
        signature_bundle, trailer = frame.signature_bundle, frame.trailer
        prefix = bytearray().join(frame.prefix_pieces())
        del frame  # of 65,000 files it takes 24 MB
        size, digest = len(prefix), hashlib.sha256(prefix).hexdigest()
        return PackagedObject(
            info=writer.finish(prefix, trailer, go_on=self._go_on),
            signature_bundle=signature_bundle,
            prefix_size=size,
            prefix_sha256=digest,
            trailer=trailer,
            file_count=len(scan.files),
            known_from=self._known_from,
        )

    @cached_property
    def _body(self) -> tuple[int, int]:
        """Where the deflate bytes are, if the source is one gzip member and nothing else; the scan finds out."""
        head = self._store_in.read_range(self._source, start=0, end=GZIP_HEADER_SIZE_MAX)
        start = read_header(Source([head]).read)
        return start, max(start, self._source.size - TRAILER_SIZE)

    @property
    def _can_copy(self) -> bool:
        destination = self._destination
        can_copy = destination.store.can_copy_from(self._store_in, self._source, kms_key_id=destination.kms_key_id)
        return can_copy and needs_parts(*self._body)

    def _splicing_writer(self, *, copying: bool) -> PackageWriter:
        if copying and self._can_copy:
            return self._copying_writer()
        start, end = self._body
        return UploadingWriter(self._destination, body_size=end - start)

    def _copying_writer(self) -> CopyingWriter:
        return CopyingWriter(self._destination, source=self._source, plan=plan_copies(*self._body))

    def _held(self) -> Generator[bytes, None, None]:
        """The bytes that part 1 takes: all that is sent of a source which the store copies."""
        start, _ = self._body
        return self._store_in.stream(self._source, start=start, end=start + MIN_PART_BYTES)

    def _trailer(self) -> bytes:
        size = self._source.size
        return self._store_in.read_range(self._source, start=size - TRAILER_SIZE, end=size)

    def _tee(self, writer: PackageWriter, start: int, end: int) -> Generator[bytes, None, None]:
        position = 0
        with closing(self._store_in.stream(self._source)) as chunks:
            for chunk in chunks:
                body = memoryview(chunk)[max(0, start - position) : max(0, end - position)]
                if body:
                    writer.take(body)
                position += len(chunk)
                yield chunk

    def _observe(self, progress: Progress) -> None:
        self._checkpoint(TransferProgress(progress.bytes_read, self._source.size))

    def _go_on(self) -> None:
        read = MIN_PART_BYTES if self._known_from else self._source.size
        self._checkpoint(TransferProgress(read, self._source.size, self._known_from))
