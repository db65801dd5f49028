"""What can go wrong at the object store, as types a caller can act on.

Every error of botocore, and of the connections under it, becomes one of these before it leaves the room. `retryable`
says whether the same work, begun anew, may succeed later without anybody changing anything.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from edgepack.errors import StateError, StoreError
from edgepack.objects.address import S3Address


class ObjectStoreError(StoreError):
    """Base of the errors of this room: the store refused or failed, or an object is not what was expected."""

    code = "StoreFailure"
    retryable: ClassVar[bool] = False


class BucketNotFoundError(ObjectStoreError):
    """The bucket does not exist (or belongs to somebody else's part of the store)."""

    code = "NoSuchBucket"
    advice = "Create the bucket, or correct its name."


class ObjectNotFoundError(ObjectStoreError):
    """The bucket exists, the object does not."""

    code = "NoSuchKey"
    advice = "Upload the object first, or correct its key."


class StoreAccessDeniedError(ObjectStoreError):
    """The store knows who asks and refuses, or does not accept the credentials at all."""

    code = "StoreAccessDenied"
    advice = "Allow the service's access key to read the source and to write the target, and check the bucket's policy."


class EncryptionKeyError(ObjectStoreError):
    """The KMS key for the object cannot be used: unknown, disabled, or not allowed."""

    code = "EncryptionKeyUnusable"
    advice = "Check that the KMS key exists, is enabled, and may be used by the store."


class ObjectChangedError(ObjectStoreError):
    """The object is no longer the one that was looked at: replaced or written anew in between. Nothing was mixed."""

    code = "ObjectChanged"
    advice = "Start again once nobody writes the object."


class UploadNotFoundError(ObjectStoreError):
    """The multipart upload is gone: aborted by another worker, by a lifecycle rule, or by hand."""

    code = "NoSuchUpload"
    advice = "Start again."
    retryable = True


class TargetChangedError(ObjectStoreError):
    """Somebody else has written the object that was to be written, since it was looked at. It was left alone."""

    code = "TargetChanged"
    advice = "Look who writes there, then create the job again, perhaps with another output location."


class TargetContendedError(ObjectStoreError):
    """Another attempt at the same job has written the object since it was looked at. Look again."""

    code = "TargetContended"
    retryable = True


class StoreFullError(ObjectStoreError):
    """The store has no room for the bytes."""

    code = "StoreFull"
    advice = "Free or add space in the object store, then start again."


class StoreUnavailableError(ObjectStoreError):
    """The store did not answer, broke off, or asked to be left alone for a while. Repeat later."""

    code = "StoreUnavailable"
    advice = "Check that the object store runs and is reachable; the call may be repeated."
    retryable = True


class StoreRefusedError(ObjectStoreError):
    """The store refused for a reason of its own, which the message gives in its words."""

    code = "StoreRefused"


_BY_CODE: Final[dict[str, type[ObjectStoreError]]] = {
    "NoSuchBucket": BucketNotFoundError,
    "NoSuchKey": ObjectNotFoundError,
    "NoSuchVersion": ObjectNotFoundError,
    "NotFound": ObjectNotFoundError,
    "404": ObjectNotFoundError,
    "AccessDenied": StoreAccessDeniedError,
    "AllAccessDisabled": StoreAccessDeniedError,
    "AccountProblem": StoreAccessDeniedError,
    "InvalidAccessKeyId": StoreAccessDeniedError,
    "SignatureDoesNotMatch": StoreAccessDeniedError,
    "ExpiredToken": StoreAccessDeniedError,
    "InvalidToken": StoreAccessDeniedError,
    "Forbidden": StoreAccessDeniedError,
    "403": StoreAccessDeniedError,
    "PreconditionFailed": ObjectChangedError,
    "ConditionalRequestConflict": ObjectChangedError,
    "412": ObjectChangedError,
    "NoSuchUpload": UploadNotFoundError,
    "InsufficientStorage": StoreFullError,
    "QuotaExceeded": StoreFullError,
    "XMinioStorageFull": StoreFullError,
    "XMinioAdminBucketQuotaExceeded": StoreFullError,
    "EntityTooLarge": StoreRefusedError,
    "NotImplemented": StoreRefusedError,
    "SlowDown": StoreUnavailableError,
    "ServiceUnavailable": StoreUnavailableError,
    "InternalError": StoreUnavailableError,
    "RequestTimeout": StoreUnavailableError,
    "RequestTimeTooSkewed": StoreRefusedError,
}
"""https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and what other S3 servers say when full."""

UNKNOWN_KEY: Final = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"})
ENDPOINT_ADVICE: Final = "Check --s3-endpoint."

KEY_TROUBLE: Final = "InternalError"
"""What SeaweedFS answers, every time, when it has no KMS or does not find the key."""

_INSUFFICIENT_STORAGE: Final = 507
"""RFC 4918, section 11.5; several S3 servers answer it when their disks or quotas are full."""

_TOO_MANY_REQUESTS: Final = 429
_FIRST_SERVER_ERROR: Final = 500


def classify(code: str, status: int) -> type[ObjectStoreError]:
    """Which error an answer of the store is.

    Args:
        code: The error code of the answer's body, or botocore's stand-in (the status as text) where it has no body.
        status: The HTTP status.
    """
    if code.startswith("KMS."):
        return EncryptionKeyError
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status == _INSUFFICIENT_STORAGE:
        return StoreFullError
    if status >= _FIRST_SERVER_ERROR or status == _TOO_MANY_REQUESTS:
        return StoreUnavailableError
    return StoreRefusedError


def translate(error: Exception, address: S3Address, action: str, *, kms_key_id: str | None = None) -> ObjectStoreError:
    """Make one of this room's errors of whatever botocore or the connection under it raised.

    Args:
        error: A botocore `ClientError` (the store answered) or any other botocore, urllib3 or OS error (it did not,
            or not completely).
        address: What the call was about.
        action: What was being done, as a verb phrase: "read", "write part 3 of".
        kms_key_id: The KMS key that the store was asked to use, if any.

    Returns:
        The error to raise, with the store's own words in it and no credentials.
    """
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return StoreUnavailableError(f"Could not {action} {address}: {type(error).__name__}: {_first_line(error)}.")
    answer = response.get("Error", {})
    code = str(answer.get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    kind = classify(code, status)
    if kms_key_id is not None and code == KEY_TROUBLE:
        kind, action = EncryptionKeyError, f"use the KMS key {kms_key_id!r} to {action}"
    words = str(answer.get("Message", "")).rstrip(".") or "no message"
    return kind(f"Could not {action} {address}: the store answered {code} ({status}): {words}.")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0].rstrip(".")


def require_s3_answer(answer: Mapping[str, Any]) -> None:
    """Judge a store by how it refused to list its buckets: every S3 server says why, in XML.

    Args:
        answer: botocore's view of the answer.

    Raises:
        StateError: It does not know the access key, its secret is another one, or this is no S3 server.
    """
    code = str(answer.get("Error", {}).get("Code", ""))
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in UNKNOWN_KEY:
        raise StateError(
            f"The object store does not accept the access key: {code}.",
            advice="Check --s3-access-key-id and EDGEPACK_S3_SECRET_ACCESS_KEY.",
        )
    if status < _FIRST_SERVER_ERROR and (code.isdigit() or not code):
        raise StateError(f"The S3 endpoint does not answer as an S3 server does ({status}).", advice=ENDPOINT_ADVICE)
