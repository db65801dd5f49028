"""Writing an object whose bytes come one after the other: small ones in one request, large ones in parts."""

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from edgepack.jobs.transfer_parts import UPLOAD_PART_BYTES, upload_part_size
from edgepack.objects.address import S3Address
from edgepack.objects.info import ObjectInfo
from edgepack.objects.store import ObjectStore

if TYPE_CHECKING:
    from edgepack.objects.upload import Upload


class StreamWriter:
    """Collects bytes and writes them; nobody sees any of them before `finish`, and leaving without it aborts.

    Args:
        store: Where to.
        target: What object; what is there is replaced.
        expected_size: Bytes to come, as good as known: it settles the size of parts.
        owner: ARN of the job that writes.
        kms_key_id: KMS key to encrypt under, or None for the bucket's own default.
        upload_opened: Told the id of the multipart upload before any of it is sent.
    """

    def __init__(  # noqa: PLR0913 - keyword-only
        self,
        store: ObjectStore,
        target: S3Address,
        *,
        expected_size: int,
        owner: str,
        kms_key_id: str | None,
        upload_opened: Callable[[str], None],
    ) -> None:
        self._store = store
        self._target = target
        self._part_size = upload_part_size(max(expected_size, UPLOAD_PART_BYTES))
        self._owner = owner
        self._kms_key_id = kms_key_id
        self._upload_opened = upload_opened
        self._buffer = bytearray()
        self._upload: Upload | None = None
        self._parts = 0
        self._finished = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._upload is not None and not self._finished:
            self._upload.abort()

    def write(self, data: bytes | memoryview) -> None:
        """Take bytes; sends a part whenever there is enough for one.

        Raises:
            StoreError: The store refused or failed.
        """
        self._buffer += data
        while len(self._buffer) >= self._part_size:
            self._send(bytes(memoryview(self._buffer)[: self._part_size]))
            del self._buffer[: self._part_size]

    def finish(self) -> ObjectInfo:
        """Send the rest and make the object.

        Raises:
            StoreError: The store refused or failed.
        """
        if self._upload is None:
            info = self._store.put(self._target, bytes(self._buffer), kms_key_id=self._kms_key_id, owner=self._owner)
        else:
            if self._buffer:
                self._send(bytes(self._buffer))
            info = self._upload.complete()
        self._finished = True
        return info

    def _send(self, part: bytes) -> None:
        if self._upload is None:
            self._upload = self._store.begin_upload(self._target, kms_key_id=self._kms_key_id, owner=self._owner)
            self._upload_opened(self._upload.upload_id)
        self._parts += 1
        self._upload.upload_part(self._parts, part)
