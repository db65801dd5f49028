"""Writing an object to the store while its first bytes are not known yet: the first part is held back and sent last.

S3 takes parts in any order. Part 1 must hold the prefix, which needs the signature, which needs every byte; so the body
flows into the parts from number 2 on, and only `MIN_PART_BYTES` of it wait.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Protocol

from edgepack.errors import StoreError
from edgepack.jobs.transfer_destination import Destination
from edgepack.jobs.transfer_parts import MIN_PART_BYTES, PartPlan, PartRange, parts_in_flight, upload_part_size
from edgepack.objects.errors import StoreAccessDeniedError, StoreRefusedError
from edgepack.objects.info import ObjectInfo

if TYPE_CHECKING:
    from edgepack.objects.upload import Upload

COPIES_AT_ONCE = 2
"""Ranges that the store copies at the same time: more did not make the embedded store any faster."""

WAIT_SECONDS = 0.25
"""How often whoever waits for the store is asked whether to go on."""


class CopyRefusedError(StoreError):
    """The store does not copy this object by itself; its bytes can still be uploaded. Nothing was left."""

    code = "CopyRefused"


class PackageWriter(Protocol):
    """Takes the body as it flows by, then the prefix and the trailer."""

    def take(self, data: memoryview) -> None:
        """Take the next bytes of the body.

        Raises:
            StoreError: The store refused or failed; perhaps on earlier bytes.
        """

    def finish(self, prefix: bytearray, trailer: bytes, *, go_on: Callable[[], None]) -> ObjectInfo:
        """Make the object: prefix, body, trailer.

        Args:
            prefix: What goes in front of the body. It becomes the first part, in its place: it may be large.
            trailer: What goes behind it.
            go_on: Called while the store is waited for, and once more right before the object appears; may raise to
                stop.

        Raises:
            StoreError: The store refused or failed.
        """

    def abort(self) -> None:
        """End every thread and leave nothing in the store. Never raises; harmless after `finish`."""


class UploadingWriter:
    """Uploads the body in parts, a few at once.

    Even what would fit in one request goes as an upload: an upload that is aborted stays so, whatever a late worker
    still sends, whereas a late request that writes an object cannot be called back.

    Args:
        destination: Where to.
        body_size: Bytes of the body, as good as known.
    """

    def __init__(self, destination: Destination, *, body_size: int) -> None:
        self._destination = destination
        self._part_size = upload_part_size(body_size)
        self._in_flight = parts_in_flight(self._part_size)
        self._held = bytearray()
        self._filling = bytearray()
        self._pool = ThreadPoolExecutor(self._in_flight, thread_name_prefix="upload-part")
        self._sending: deque[Future[None]] = deque()
        self._upload: Upload | None = None
        self._last_number = 1

    def take(self, data: memoryview) -> None:
        """See `PackageWriter`."""
        room = MIN_PART_BYTES - len(self._held)
        if room > 0:
            self._held += data[:room]
            data = data[room:]
        while data:
            room = self._part_size - len(self._filling)
            self._filling += data[:room]
            data = data[room:]
            if len(self._filling) == self._part_size:
                self._send()

    def finish(self, prefix: bytearray, trailer: bytes, *, go_on: Callable[[], None]) -> ObjectInfo:
        """See `PackageWriter`."""
        if self._filling or self._last_number > 1:
            self._filling += trailer
            self._send()
        else:
            self._held += trailer
        upload = self._opened()
        prefix += self._held
        upload.upload_part(1, prefix)
        _await(self._sending, go_on)
        self._pool.shutdown()
        go_on()
        return self._destination.complete(upload)

    def abort(self) -> None:
        """See `PackageWriter`."""
        self._pool.shutdown(cancel_futures=True)
        if self._upload is not None:
            self._destination.abort(self._upload)

    def _opened(self) -> "Upload":
        if self._upload is None:
            self._upload = self._destination.begin_upload()
        return self._upload

    def _send(self) -> None:
        upload = self._opened()
        while len(self._sending) >= self._in_flight:
            self._sending.popleft().result()
        part, self._filling = self._filling, bytearray()
        self._last_number += 1
        self._sending.append(self._pool.submit(copy_context().run, upload.upload_part, self._last_number, part))


class CopyingWriter:
    """Has the store copy the body's bytes itself, from the source object, while they are being scanned.

    What the store refuses to copy raises `CopyRefusedError`.

    Args:
        destination: Where to; the same store as the source's.
        source: The version that is being scanned, whose ETag pins every copy.
        plan: Which of its bytes go into which part.
    """

    def __init__(self, destination: Destination, *, source: ObjectInfo, plan: PartPlan) -> None:
        self._destination = destination
        self._source = source
        self._plan = plan
        self._held = bytearray()
        self._upload = destination.begin_upload()
        self._pool = ThreadPoolExecutor(COPIES_AT_ONCE, thread_name_prefix="copy-part")
        self._copies = deque(self._pool.submit(copy_context().run, self._copy, part) for part in plan.middle)

    def take(self, data: memoryview) -> None:
        """See `PackageWriter`."""
        self._held += data[: MIN_PART_BYTES - len(self._held)]
        while self._copies and self._copies[0].done():
            self._copies.popleft().result()

    def finish(self, prefix: bytearray, trailer: bytes, *, go_on: Callable[[], None]) -> ObjectInfo:
        """See `PackageWriter`."""
        prefix += self._held
        self._upload.upload_part(1, prefix)
        self._upload.upload_part(self._plan.last_number, trailer)
        self.await_copies(go_on)
        self._pool.shutdown()
        go_on()
        return self._destination.complete(self._upload)

    def abort(self) -> None:
        """See `PackageWriter`."""
        self._pool.shutdown(cancel_futures=True)
        self._destination.abort(self._upload)

    def await_copies(self, go_on: Callable[[], None]) -> None:
        """Wait until the store has copied everything.

        Args:
            go_on: Called meanwhile; may raise to stop.

        Raises:
            StoreError: The store refused or failed.
        """
        _await(self._copies, go_on)

    def _copy(self, part: PartRange) -> None:
        try:
            self._upload.copy_part(part.number, self._source, first=part.first, last=part.last)
        except (StoreAccessDeniedError, StoreRefusedError) as error:
            raise CopyRefusedError(error.message, advice=error.advice) from error


@contextmanager
def aborted_on_error(writer: PackageWriter) -> Iterator[None]:
    """Whatever goes wrong in the block, the writer leaves nothing in the store."""
    try:
        yield
    except BaseException:
        writer.abort()
        raise


def _await(sent: deque[Future[None]], go_on: Callable[[], None]) -> None:
    """Wait for every one of these, asking now and then whether to go on; raises what the first of them raised."""
    while sent:
        done, _ = wait(sent, WAIT_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
            sent.remove(future)
        go_on()
