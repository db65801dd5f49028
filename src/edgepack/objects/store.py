"""The object store as the rest of edgepack sees it: a handful of verbs on addresses, and typed errors."""

from collections.abc import Generator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.errors import StateError
from edgepack.objects.address import S3Address
from edgepack.objects.client import Connection, make_clients, translated
from edgepack.objects.errors import (
    ENDPOINT_ADVICE,
    BucketNotFoundError,
    ObjectChangedError,
    ObjectNotFoundError,
    require_s3_answer,
)
from edgepack.objects.info import Mark, ObjectInfo, info_from_head
from edgepack.objects.reading import read_range, stream_ranges
from edgepack.objects.upload import Upload, abort_upload, begin_upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class ObjectStore:
    """An S3 store under one set of credentials. Safe to share between threads; opens no connection before it is used.

    Args:
        endpoint: Base URL of an S3 server (addressed path-style), or None for AWS itself.
        region: Region to sign for.
        access_key: Access key id. The environment's own credentials and profiles are never used.
        secret_key: Its secret.
        session_token: Belongs to temporary credentials only.
        ca_bundle: PEM file of the authorities to trust, for a store with a private one.

    Raises:
        StateError: The endpoint is not an http or https URL.
    """

    def __init__(  # noqa: PLR0913 - one argument per setting of a connection, keyword-only
        self,
        *,
        endpoint: str | None,
        region: str,
        access_key: str,
        secret_key: str,
        session_token: str | None = None,
        ca_bundle: Path | None = None,
    ) -> None:
        self.connection = Connection(
            endpoint=endpoint,
            region=region,
            access_key=access_key,
            secret_key=secret_key,
            session_token=session_token,
            ca_bundle=ca_bundle,
        )

    def __repr__(self) -> str:
        return f"ObjectStore({self.connection.endpoint or 'AWS'}, {self.connection.region})"

    def require_known(self) -> None:
        """See that this is an S3 store and knows the access key, before jobs are taken that would all fail.

        What the key may do is each job's to find out, and a store that is unavailable is not judged.

        Raises:
            StateError: It is none, or does not know the key.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - costly, see make_clients

        try:
            self._client.list_buckets()
        except ClientError as error:
            require_s3_answer(error.response)
        except BotoCoreError as error:
            raise StateError(f"The S3 endpoint cannot be asked: {error}", advice=ENDPOINT_ADVICE) from error

    def can_copy_from(self, other: "ObjectStore", source: ObjectInfo, *, kms_key_id: str | None) -> bool:
        """Whether this store can copy `source` by itself: it is the same store, asked by the same user.

        Objects under different KMS keys are left out, because the copy would need rights on both keys that reading and
        writing do not need (kms:Decrypt through the store for the one, kms:GenerateDataKey for the other).

        Args:
            other: The store that has the source.
            source: The source.
            kms_key_id: The key that the copy is to be encrypted under, or None.
        """
        return self.connection == other.connection and source.kms_key_id == kms_key_id

    def head(self, address: S3Address) -> ObjectInfo:
        """Look at an object.

        Raises:
            BucketNotFoundError: There is no such bucket.
            ObjectNotFoundError: There is no such object in it.
            ObjectStoreError: Any other failure.
        """
        try:
            with translated(address, "look at"):
                answer = self._client.head_object(Bucket=address.bucket, Key=address.key)
        except ObjectNotFoundError as error:
            # The answer to HEAD has no body, hence no code that would tell the two apart.
            self._check_bucket(address)
            raise ObjectNotFoundError(f"There is no object {address}.") from error
        return info_from_head(address, answer)

    def find(self, address: S3Address) -> ObjectInfo | None:
        """Look whether there is an object; None if there is none.

        Raises:
            BucketNotFoundError: There is no such bucket.
            ObjectStoreError: Any other failure.
        """
        try:
            return self.head(address)
        except ObjectNotFoundError:
            return None

    def require_unchanged(self, info: ObjectInfo) -> None:
        """Look at a version once more: it has not been written since it was looked at.

        Raises:
            ObjectChangedError: It has been.
            ObjectNotFoundError: The version, or its bucket, is there no more.
            ObjectStoreError: Any other failure.
        """
        with translated(info.address, "look again at"):
            answer = self._client.head_object(Bucket=info.address.bucket, Key=info.address.key, **info.pin)
        found = info_from_head(info.address, answer)
        if (found, found.written_at) != (info, info.written_at):
            raise ObjectChangedError(f"{info.address} was written anew while it was being read.")

    def stream(self, info: ObjectInfo, *, start: int = 0, end: int | None = None) -> Generator[bytes, None, None]:
        """Read a version's bytes from `start` up to `end` (not included) in order; see `reading.stream_ranges`.

        Raises:
            ObjectChangedError: The object was replaced while it was being read.
            ObjectStoreError: Any other failure.
        """
        return stream_ranges(self._clients[1], info, start=start, end=info.size if end is None else end)

    def read_range(self, info: ObjectInfo, *, start: int, end: int) -> bytes:
        """Read the bytes from `start` up to `end` (not included) of a version, cut at its end.

        Raises:
            ObjectChangedError: The object was replaced.
            ObjectStoreError: Any other failure.
        """
        end = min(end, info.size)
        return read_range(self._clients[1], info, start=start, end=end) if start < end else b""

    def delete_if_unchanged(self, info: ObjectInfo) -> bool:
        """Delete a version, but not what somebody else has put in its place.

        Returns:
            Whether it is gone now; False when another version stands there, which is left alone.

        Raises:
            ObjectStoreError: The store could not be asked or refused.
        """
        names: dict[str, Any] = {"Bucket": info.address.bucket, "Key": info.address.key}
        # A version id names the version by itself, and AWS does not take both conditions at once.
        pin: dict[str, Any] = {"IfMatch": info.etag} if info.version_id is None else {"VersionId": info.version_id}
        try:
            with translated(info.address, "delete"):
                self._client.delete_object(**names, **pin)
        except ObjectChangedError:
            return False
        except ObjectNotFoundError:
            return True
        return True

    def begin_upload(self, address: S3Address, *, kms_key_id: str | None = None, mark: Mark | None = None) -> Upload:
        """Open a multipart upload. It takes room in the store until it is completed or aborted: note its `upload_id`.

        Args:
            address: Where the object is to be.
            kms_key_id: KMS key to encrypt under, or None for the bucket's own default.
            mark: What to mark the object with.

        Raises:
            BucketNotFoundError: There is no such bucket.
            StoreAccessDeniedError: Nothing may be written there.
            ObjectStoreError: Any other failure.
        """
        return begin_upload(self._client, address, kms_key_id=kms_key_id, mark=mark)

    def abort_upload(self, address: S3Address, upload_id: str) -> None:
        """Abort an upload that another process (one that crashed) has left; no error if it is gone already.

        Raises:
            ObjectStoreError: The store could not be told.
        """
        abort_upload(self._client, address, upload_id)

    def list_uploads(self, bucket: str, prefix: str = "") -> list[tuple[S3Address, str]]:
        """The open multipart uploads under a prefix: where each is going and its id.

        Raises:
            ObjectStoreError: The bucket does not exist or may not be listed.
        """
        found = []
        with translated(S3Address(bucket, prefix), "list the uploads under"):
            for page in self._client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
                found += [(S3Address(bucket, upload["Key"]), upload["UploadId"]) for upload in page.get("Uploads", ())]
        return found

    def _check_bucket(self, address: S3Address) -> None:
        try:
            with translated(address, "look at the bucket of"):
                self._client.head_bucket(Bucket=address.bucket)
        except ObjectNotFoundError as error:
            raise BucketNotFoundError(f"There is no bucket {address.bucket!r}.") from error

    @property
    def _client(self) -> "S3Client":
        return self._clients[0]

    @cached_property
    def _clients(self) -> "tuple[S3Client, S3Client]":
        return make_clients(self.connection)
