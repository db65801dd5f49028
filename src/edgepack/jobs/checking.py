"""Reading back what the store has, before anybody is told that it is there."""

import hashlib
import hmac
from datetime import datetime

from edgepack.errors import StoreError
from edgepack.jobs.transfer_terms import PackagedObject
from edgepack.objects.info import ObjectInfo, is_key
from edgepack.objects.store import ObjectStore
from edgepack.package.gzip_format import TRAILER_SIZE
from edgepack.package.head import verify_head
from edgepack.package.trust import TrustRoots


class StoredPackageError(StoreError):
    """What the store holds is not the package that was written."""

    code = "StoredPackageDiffers"
    advice = "Look whether something else writes to the output location, then create the job again."


def check_stored(
    store: ObjectStore, packaged: PackagedObject, *, trust: TrustRoots, now: datetime, kms_key_id: str | None
) -> None:
    """Read back what the store has, before anybody is told that it is there.

    The body needs no second reading: its size is checked, the store took it under checksums, and every byte of it is
    covered by the signature, so that whoever loads it finds any change.

    Args:
        store: Where the package was written.
        packaged: What was written.
        trust: The root that the signature must lead to.
        now: Aware time.
        kms_key_id: The key that the object must be encrypted under, or None.

    Raises:
        StoredPackageError: Something differs.
        ArtifactError: The signature does not hold.
        StoreError: The store could not be read.
    """
    found = store.head(packaged.info.address)
    _check_object(found, packaged.info)
    _check_encryption(found, kms_key_id)
    prefix = store.read_range(found, start=0, end=packaged.prefix_size)
    trailer = store.read_range(found, start=found.size - TRAILER_SIZE, end=found.size)
    if not hmac.compare_digest(hashlib.sha256(prefix).hexdigest(), packaged.prefix_sha256):
        raise StoredPackageError(
            f"The first {packaged.prefix_size} bytes of {found.address} are not those written there."
        )
    if not hmac.compare_digest(trailer, packaged.trailer):
        raise StoredPackageError(f"The last {TRAILER_SIZE} bytes of {found.address} are not those written there.")
    verify_head(prefix, trust=trust, now=now)


def _check_object(found: ObjectInfo, written: ObjectInfo) -> None:
    differences = [
        f"{name} {there!r} instead of {wanted!r}"
        for name, there, wanted in (
            ("size", found.size, written.size),
            ("ETag", found.etag, written.etag),
            # Not every store tells the version of what it has just completed.
            ("version", found.version_id, written.version_id or found.version_id),
            ("mark", found.mark, written.mark),
        )
        if there != wanted
    ]
    if differences:
        raise StoredPackageError(f"{found.address} is not the object written there: {', '.join(differences)}.")


def _check_encryption(found: ObjectInfo, kms_key_id: str | None) -> None:
    if kms_key_id is None or (found.kms_key_id is not None and is_key(found.kms_key_id, asked=kms_key_id)):
        return
    under = "no KMS key" if found.kms_key_id is None else f"the KMS key {found.kms_key_id!r}"
    raise StoredPackageError(
        f"The store encrypted {found.address} under {under} instead of {kms_key_id!r}.",
        advice="Use a store with KMS, or leave KmsKeyId out.",
    )
