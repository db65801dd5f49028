"""Writing an object in parts: in any order, from several threads, all or nothing.

What was found of SeaweedFS 4.48 (boto3 1.44) and is relied on here, all of it as AWS documents it for S3:

* Parts may come in any order and from several threads; the object exists only after completion; an abort leaves
  neither an object nor a listed upload. A part that is uploaded after the abort is refused (NoSuchUpload).
* UploadPartCopy takes byte ranges that cross the stored chunks and honours CopySourceIfMatch (412). It decrypts an
  SSE-S3 source and encrypts for an SSE-S3 target. Copied bytes went at 130-175 MB/s, uploaded ones at 95-100 MB/s.
* The ETag of a copied part comes without quotes and is not an MD5 (``…-3``), so it is only ever handed back as it came.
* A write or a completion with If-None-Match: * or If-Match is refused (412) when something else stands there, and also
  when it is repeated after it succeeded.
* Parts below 5 MiB other than the last are refused at completion (EntityTooSmall), a wrong ETag likewise (InvalidPart).

Parts are numbered from 1 without gaps because AWS refuses gaps where a bucket's checksums are composite.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

import threading
from typing import TYPE_CHECKING, Any, Final, cast

from edgepack.objects.address import S3Address
from edgepack.objects.client import told, translated
from edgepack.objects.errors import BucketNotFoundError, UploadNotFoundError
from edgepack.objects.info import Mark, ObjectInfo

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


PACKAGE_TYPE: Final = "application/gzip"
"""Media type of everything this service writes (RFC 6713)."""


def marking(mark: Mark | None) -> dict[str, Any]:
    """The parameters that leave a mark on an object."""
    return {} if mark is None else {"Metadata": mark.metadata()}


def condition(*, only_if_absent: bool, only_if: ObjectInfo | None) -> dict[str, Any]:
    """The parameters that make a write fail unless what stands in its place is what the writer thinks it is.

    Args:
        only_if_absent: Nothing must be there.
        only_if: This must be there.
    """
    if only_if_absent:
        return {"IfNoneMatch": "*"}
    return {} if only_if is None else {"IfMatch": only_if.etag}


def encryption(kms_key_id: str | None) -> dict[str, Any]:
    """The parameters that have an object encrypted under a KMS key, or none for the bucket's own default."""
    return {} if kms_key_id is None else {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id}


class Upload:
    """An open multipart upload. Its methods may be called from several threads at once, except `complete` and `abort`.

    Args:
        client: An S3 client.
        address: The object to be.
        upload_id: What the store calls the upload.
        kms_key_id: KMS key that the object is encrypted under, or None.
        mark: What the object is marked with.
        asked_again: Whether the store was asked more than once before it answered: then it may have begun an upload
            each time, and told the id of the last one.
    """

    def __init__(  # noqa: PLR0913 - keyword-only
        self,
        client: "S3Client",
        address: S3Address,
        upload_id: str,
        *,
        kms_key_id: str | None,
        mark: Mark | None,
        asked_again: bool,
    ) -> None:
        self.address = address
        self.upload_id = upload_id
        self.asked_again = asked_again
        self._kms_key_id = kms_key_id
        self._mark = mark
        self._client = client
        self._parts: dict[int, tuple[str, int]] = {}
        self._lock = threading.Lock()

    def upload_part(self, number: int, data: bytes | bytearray) -> None:
        """Send one part.

        Args:
            number: 1 to 10,000. A number sent again replaces what was there.
            data: The part; at least 5 MiB except for the last. Must not change until the call returns.

        Raises:
            UploadNotFoundError: The upload was aborted meanwhile.
            ObjectStoreError: Any other failure, after botocore's retries.
        """
        with translated(self.address, f"write part {number} of", kms_key_id=self._kms_key_id):
            answer = self._client.upload_part(**self._names, PartNumber=number, Body=cast("bytes", data))
            etag = told(answer, "ETag")
        self._record(number, etag, len(data))

    def copy_part(self, number: int, source: ObjectInfo, *, first: int, last: int) -> None:
        """Have the store itself copy a range of another of its objects into one part.

        Args:
            number: 1 to 10,000.
            source: The version to copy from, in the same store. The store checks that it is still this one.
            first: Offset of the first byte.
            last: Offset of the last byte, inclusive; the range may have at most 5 GiB.

        Raises:
            ObjectChangedError: The source was replaced.
            ObjectStoreError: Any other failure, after botocore's retries.
        """
        with translated(self.address, f"copy bytes {first} to {last} of {source.address} into"):
            answer = self._client.upload_part_copy(
                **self._names,
                PartNumber=number,
                CopySource=_copy_source(source),
                CopySourceRange=f"bytes={first}-{last}",
                CopySourceIfMatch=source.etag,
            )
            etag = told(told(answer, "CopyPartResult"), "ETag")
        self._record(number, etag, last - first + 1)

    def complete(self, *, only_if_absent: bool = False, only_if: ObjectInfo | None = None) -> ObjectInfo:
        """Make the object of the parts. Nobody sees any of it before.

        Args:
            only_if_absent: Refuse to replace an object that is there.
            only_if: Refuse to replace another object than this one.

        Returns:
            The new object: its size is the sum of the parts, the rest is what the store answered.

        Raises:
            ObjectChangedError: Another object is there than was said.
            UploadNotFoundError: The upload was aborted meanwhile.
            ObjectStoreError: Any other failure. The upload is still open, so `abort` it.
        """
        parts: Any = [{"PartNumber": number, "ETag": etag} for number, (etag, _) in sorted(self._parts.items())]
        with translated(self.address, "complete"):
            answer = self._client.complete_multipart_upload(
                **self._names,
                MultipartUpload={"Parts": parts},
                **condition(only_if_absent=only_if_absent, only_if=only_if),
            )
            etag = told(answer, "ETag")
        return ObjectInfo(
            address=self.address,
            size=sum(size for _, size in self._parts.values()),
            etag=etag,
            version_id=answer.get("VersionId"),
            kms_key_id=answer.get("SSEKMSKeyId"),
            mark=self._mark,
        )

    def abort(self) -> None:
        """Throw the upload and its parts away; it is no error if the store no longer knows it.

        Call it only after every thread that sends parts has ended: a part that arrives during an abort may be kept and
        charged for (API_AbortMultipartUpload.html).

        Raises:
            ObjectStoreError: The store could not be told. The upload may still be there.
        """
        abort_upload(self._client, self.address, self.upload_id)

    @property
    def _names(self) -> dict[str, Any]:
        return {"Bucket": self.address.bucket, "Key": self.address.key, "UploadId": self.upload_id}

    def _record(self, number: int, etag: str, size: int) -> None:
        with self._lock:
            self._parts[number] = (etag, size)


def begin_upload(client: "S3Client", address: S3Address, *, kms_key_id: str | None, mark: Mark | None) -> Upload:
    """Open a multipart upload; see `ObjectStore.begin_upload`."""
    with translated(address, "begin writing", kms_key_id=kms_key_id):
        answer = client.create_multipart_upload(
            Bucket=address.bucket,
            Key=address.key,
            ContentType=PACKAGE_TYPE,
            **encryption(kms_key_id),
            **marking(mark),
        )
        upload_id = told(answer, "UploadId")
    asked_again = answer["ResponseMetadata"]["RetryAttempts"] > 0
    return Upload(client, address, upload_id, kms_key_id=kms_key_id, mark=mark, asked_again=asked_again)


def abort_upload(client: "S3Client", address: S3Address, upload_id: str) -> None:
    """Abort an upload by its id; see `ObjectStore.abort_upload`."""
    try:
        with translated(address, "abort the upload of"):
            client.abort_multipart_upload(Bucket=address.bucket, Key=address.key, UploadId=upload_id)
    except (UploadNotFoundError, BucketNotFoundError):
        return


def _copy_source(source: ObjectInfo) -> Any:
    names = {"Bucket": source.address.bucket, "Key": source.address.key}
    return names if source.version_id is None else {**names, "VersionId": source.version_id}
