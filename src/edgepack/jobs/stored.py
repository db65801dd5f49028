"""Removing what a job wrote, when it ends without a result."""

from contextlib import suppress
from typing import Any

from edgepack.jobs.attempt import Attempt
from edgepack.objects.address import S3Address
from edgepack.objects.errors import BucketNotFoundError, ObjectNotFoundError, StoreAccessDeniedError
from edgepack.objects.store import ObjectStore


def abort_uploads(store: ObjectStore, target: S3Address, attempt: Attempt[Any]) -> None:
    """Abort every upload that this attempt and the ones before it have begun; may run twice.

    A worker may die between the beginning of an upload and the note of it. So after a former attempt all uploads to the
    job's output go, if the store lets us see them: no other job writes there.

    Raises:
        StoreError: One could not be aborted; it stays noted.
    """
    for upload in attempt.noted_uploads():
        store.abort_upload(S3Address(upload.bucket, upload.key), upload.upload_id)
        attempt.forget_upload(upload.upload_id)
    if attempt.number > 1:
        with suppress(BucketNotFoundError, StoreAccessDeniedError):
            for address, upload_id in store.list_uploads(target.bucket, target.key):
                if address == target:
                    store.abort_upload(address, upload_id)


def remove_written(store: ObjectStore, target: S3Address, attempt: Attempt[Any]) -> bool:
    """Abort a job's uploads and delete the object it completed, if it did; may run twice.

    An object at the target that this job did not write (an older package, say), or that a later attempt wrote, stays.

    Returns:
        Whether nothing is there now because of this job (a bucket that keeps versions may still show what was there
        before). A former attempt may have died between removing its object and telling whose it had replaced.

    Raises:
        StoreError: Something could not be removed.
    """
    abort_uploads(store, target, attempt)
    try:
        found = store.head(target)
    except ObjectNotFoundError:
        return attempt.number > 1
    except (BucketNotFoundError, StoreAccessDeniedError):
        return False
    mine = found.mark is not None and found.mark.is_same_job(attempt.mark) and found.mark.attempt <= attempt.number
    return mine and store.delete_if_unchanged(found) and store.find(target) is None
