"""Removing what a job wrote, when it ends without a result."""

from edgepack.objects.address import S3Address
from edgepack.objects.errors import BucketNotFoundError, ObjectNotFoundError, StoreAccessDeniedError
from edgepack.objects.store import ObjectStore


def remove_written(store: ObjectStore, target: S3Address, *, upload_id: str | None, owner: str) -> None:
    """Abort a job's upload and delete the object it completed, if it did; may run twice.

    An object at the target that this job did not write (an older package, say) stays: what a job writes carries the
    job's ARN in its metadata.

    Args:
        store: Where the job wrote.
        target: The job's output key.
        upload_id: The multipart upload that the job is known to have opened.
        owner: The job's ARN.

    Raises:
        StoreError: Something could not be removed.
    """
    if upload_id is not None:
        store.abort_upload(target, upload_id)
    try:
        info = store.head(target)
    except (ObjectNotFoundError, BucketNotFoundError, StoreAccessDeniedError):
        return
    if info.owner == owner:
        store.delete_if_unchanged(info)
