"""Where a package goes: uploads are opened, completed and aborted here, and nobody else's object is replaced."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.errors import EdgepackError
from edgepack.objects.address import S3Address
from edgepack.objects.errors import (
    ObjectChangedError,
    StoreUnavailableError,
    TargetChangedError,
    TargetContendedError,
    UploadNotFoundError,
)
from edgepack.objects.info import Mark, ObjectInfo
from edgepack.objects.store import ObjectStore

if TYPE_CHECKING:
    from edgepack.objects.upload import Upload

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a package goes, and in whose name.

    Attributes:
        store: The store.
        target: The object.
        kms_key_id: KMS key to encrypt under, or None for the bucket's own default.
        mark: The attempt that writes.
        replaces: What stood at the target when the attempt began, or None. Nothing else is replaced: not what somebody
            else has written meanwhile, and not what another attempt has, which may have taken this one's place.
        upload_opened: Told the id of a multipart upload before anything is sent, so that somebody else can abort it.
        upload_closed: Told the id again once the upload is completed or aborted.
        upload_in_doubt: Called when the store may have begun an upload whose id it could not tell.
    """

    store: ObjectStore
    target: S3Address
    kms_key_id: str | None
    mark: Mark
    replaces: ObjectInfo | None
    upload_opened: Callable[[str], None]
    upload_closed: Callable[[str], None]
    upload_in_doubt: Callable[[], None]

    def begin_upload(self) -> "Upload":
        """Open a multipart upload; it is aborted if its id could not be told."""
        try:
            upload = self.store.begin_upload(self.target, kms_key_id=self.kms_key_id, mark=self.mark)
        except StoreUnavailableError:
            self.upload_in_doubt()
            raise
        try:
            if upload.asked_again:
                self.upload_in_doubt()
            self.upload_opened(upload.upload_id)
        except BaseException:
            self.abort(upload)
            raise
        return upload

    def complete(self, upload: "Upload") -> ObjectInfo:
        """Make the object of an upload's parts."""
        info = self._settled(lambda: upload.complete(only_if_absent=self.replaces is None, only_if=self.replaces))
        self.upload_closed(upload.upload_id)
        return info

    def abort(self, upload: "Upload") -> None:
        """Throw an upload away. Never raises: whoever ends the job aborts it once more, by the id that was noted."""
        try:
            upload.abort()
            self.upload_closed(upload.upload_id)
        except EdgepackError as error:
            log.warning("could not abort the upload of %s: %s", upload.address, error.message)

    def _settled(self, write: Callable[[], ObjectInfo]) -> ObjectInfo:
        """Write, and find out what a refusal means: the answer to a write that succeeded may have been lost on its way.

        Raises:
            TargetContendedError: Another attempt at this job has written the object.
            TargetChangedError: Somebody else has.
            ObjectStoreError: Any other failure.
        """
        try:
            return write()
        except (ObjectChangedError, UploadNotFoundError) as error:
            found = self.store.find(self.target)
            if found is not None and found.mark == self.mark:
                return found
            if isinstance(error, UploadNotFoundError):
                raise
            if found is not None and self.mark.is_same_job(found.mark):
                raise TargetContendedError(f"Another attempt has written {self.target}.") from error
            raise TargetChangedError(f"Somebody else has written {self.target} while the job ran.") from error
