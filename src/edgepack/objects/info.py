"""What is known of a stored object, pinned to the very version that was looked at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from edgepack.objects.address import S3Address

OWNER_METADATA: Final = "edgepack-owner"
CREATED_METADATA: Final = "edgepack-created-at"
ATTEMPT_METADATA: Final = "edgepack-attempt"
"""User metadata in which a job leaves its mark on what it writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Whose an object is: only its own is ever removed for a job, and nothing of a later attempt for a former one.

    Attributes:
        owner: The job's ARN.
        created_at: When the job was created, in microseconds since the epoch: the name of a deleted job may be used
            again, and the new one must not take the old one's objects for its own.
        attempt: Number of the attempt at the job.
    """

    owner: str
    created_at: int
    attempt: int

    def is_same_job(self, other: "Mark | None") -> bool:
        """Whether both are marks of one job."""
        return other is not None and (self.owner, self.created_at) == (other.owner, other.created_at)

    def metadata(self) -> dict[str, str]:
        """The mark as an object's user metadata."""
        return {
            OWNER_METADATA: self.owner,
            CREATED_METADATA: str(self.created_at),
            ATTEMPT_METADATA: str(self.attempt),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """One version of one object. Every later read, copy or deletion through it names this version and no other.

    Attributes:
        address: Where it is.
        size: Length in bytes.
        etag: The entity tag as the store sent it, quotes included. Not a hash one could compute: of an object written
            in parts, or encrypted, it is something else on every store.
        version_id: The version's id where the bucket keeps versions.
        kms_key_id: The KMS key that encrypts it, as the store names it, or None.
        mark: The mark that an edgepack job has left on it, or None.
        written_at: When it was written, by the store's clock, in seconds since the epoch; None if that was not told.
    """

    address: S3Address
    size: int
    etag: str
    version_id: str | None = None
    kms_key_id: str | None = None
    mark: Mark | None = None
    written_at: int | None = field(default=None, compare=False)

    @property
    def lasting_version(self) -> str | None:
        """The version's id, if the store holds these very bytes under it until they are deleted; else None.

        The version "null" is what a bucket holds that keeps no versions (yet, or any more): it can be overwritten.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html
        """
        return self.version_id if self.version_id not in {"", "null"} else None

    @property
    def pin(self) -> dict[str, Any]:
        """The parameters that make a GetObject or HeadObject fail unless the object is still this one."""
        pin = {"IfMatch": self.etag}
        return pin if self.version_id is None else {**pin, "VersionId": self.version_id}


def info_from_head(address: S3Address, answer: Mapping[str, Any]) -> ObjectInfo:
    """Read an answer to HeadObject (https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html)."""
    return ObjectInfo(
        address=address,
        size=int(answer["ContentLength"]),
        etag=str(answer["ETag"]),
        version_id=answer.get("VersionId"),
        kms_key_id=answer.get("SSEKMSKeyId"),
        mark=_mark(answer.get("Metadata", {})),
        written_at=_seconds(answer.get("LastModified")),
    )


def _seconds(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp())


def _mark(metadata: Mapping[str, str]) -> Mark | None:
    owner, created_at, attempt = (
        metadata.get(name, "") for name in (OWNER_METADATA, CREATED_METADATA, ATTEMPT_METADATA)
    )
    if not (owner and created_at.isdecimal() and attempt.isdecimal()):
        return None
    return Mark(owner=owner, created_at=int(created_at), attempt=int(attempt))


def is_key(found: str, *, asked: str) -> bool:
    """Whether the KMS key that a store names is the one that was asked for, as far as the names can tell.

    Args:
        found: A key id or key ARN, as HeadObject gives it.
        asked: A key id, a key ARN, or an alias of either form, which may stand for any key.
    """
    if asked.startswith("alias/") or ":alias/" in asked:
        return True
    return found.rpartition("/")[2] == asked.rpartition("/")[2]
