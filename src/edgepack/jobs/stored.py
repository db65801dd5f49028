"""Removing what a job wrote, when it ends without a result."""

from typing import Any

from edgepack.jobs.attempt import Attempt
from edgepack.objects.address import S3Address
from edgepack.objects.errors import BucketNotFoundError, ObjectNotFoundError, StoreAccessDeniedError
from edgepack.objects.store import ObjectStore


def abort_uploads(store: ObjectStore, attempt: Attempt[Any]) -> None:
    """Abort every upload that this attempt and the ones before it have begun; may run twice.

    Raises:
        StoreError: One could not be aborted; it stays noted.
    """
    for upload in attempt.noted_uploads():
        store.abort_upload(S3Address(upload.bucket, upload.key), upload.upload_id)
        attempt.forget_upload(upload.upload_id)


def remove_written(store: ObjectStore, target: S3Address, attempt: Attempt[Any]) -> None:
    """Abort a job's uploads and delete the object it completed, if it did; may run twice.

    An object at the target that this job did not write (an older package, say), or that a later attempt wrote, stays.

    Raises:
        StoreError: Something could not be removed.
    """
    abort_uploads(store, attempt)
    try:
        found = store.head(target)
    except (ObjectNotFoundError, BucketNotFoundError, StoreAccessDeniedError):
        return
    if found.mark is not None and found.mark.is_same_job(attempt.mark) and found.mark.attempt <= attempt.number:
        store.delete_if_unchanged(found)
