"""A real embedded store for tests of the rooms that speak S3, and a plain boto3 client to look behind their backs."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from edgepack.objects.address import S3Address
from edgepack.objects.embedded import EmbeddedStore
from edgepack.objects.info import Mark, ObjectInfo
from edgepack.objects.store import ObjectStore
from edgepack.objects.weed_settings import StoreCredential

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"


@dataclass
class RunningStore:
    """A SeaweedFS process that accepts one access key."""

    embedded: EmbeddedStore
    credential: StoreCredential

    @property
    def address(self) -> tuple[str, tuple[str, str]]:
        """Its endpoint and its key, for a server to which it is somebody else's S3."""
        return self.embedded.endpoint, (self.credential.access_key, self.credential.secret_key)

    def connect(self, **changes: Any) -> ObjectStore:
        """The store as edgepack sees it; with other settings where they are given."""
        settings: dict[str, Any] = {
            "endpoint": self.embedded.endpoint,
            "region": REGION,
            "access_key": self.credential.access_key,
            "secret_key": self.credential.secret_key,
        }
        return ObjectStore(**{**settings, **changes})

    @cached_property
    def store(self) -> ObjectStore:
        """The store as edgepack sees it, one client for all tests."""
        return self.connect()

    @cached_property
    def client(self) -> "S3Client":
        """The store as anybody else sees it."""
        return boto3.client(
            "s3",
            endpoint_url=self.embedded.endpoint,
            region_name=REGION,
            aws_access_key_id=self.credential.access_key,
            aws_secret_access_key=self.credential.secret_key,
            config=Config(s3={"addressing_style": "path"}),
        )

    def put(self, address: S3Address, data: bytes, *, mark: Mark | None = None) -> ObjectInfo:
        """Write an object; as edgepack sees it."""
        metadata = {} if mark is None else mark.metadata()
        self.client.put_object(Bucket=address.bucket, Key=address.key, Body=data, Metadata=metadata)
        return self.store.head(address)

    def new_bucket(self) -> str:
        """A bucket of the test's own."""
        name = f"test-{secrets.token_hex(6)}"
        self.client.create_bucket(Bucket=name)
        return name

    def content(self, address: S3Address) -> bytes:
        """What is stored there, read by the plain client."""
        return self.client.get_object(Bucket=address.bucket, Key=address.key)["Body"].read()

    def is_untouched(self, bucket: str, prefix: str = "") -> bool:
        """Whether there is neither an object nor an open upload under a prefix."""
        objects = self.client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        uploads = self.client.list_multipart_uploads(Bucket=bucket, Prefix=prefix).get("Uploads", [])
        return not objects and not uploads


def new_credential() -> StoreCredential:
    """An access key that no other test has."""
    return StoreCredential(f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30))


@contextmanager
def running_store(folder: Path) -> Iterator[RunningStore]:
    """Start a store in a folder, and stop it."""
    credential = new_credential()
    embedded = EmbeddedStore(folder, port=0, credentials=[credential])
    embedded.start()
    try:
        yield RunningStore(embedded, credential)
    finally:
        embedded.stop()
