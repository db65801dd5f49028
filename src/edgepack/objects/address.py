"""Where an object is: the forms in which SageMaker's API names S3 locations, taken apart without touching a network.

An address is a bucket and a key and nothing else. The host of an ``https`` address only tells which of AWS's forms it
is written in; requests always go to the configured endpoint, so that no request can make the service talk to another
host. Forms: https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from edgepack.errors import ValidationError

MAX_KEY_BYTES: Final = 1024
"""Longest object key, in UTF-8 bytes. https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""

MAX_URI_CHARACTERS: Final = 1024
"""Longest S3 URI that SageMaker's API takes, in characters (shape S3Uri of its API reference)."""

_BUCKET: Final = re.compile(r"(?=.{3,63}\Z)[a-z0-9][a-z0-9-]*(?:\.[a-z0-9][a-z0-9-]*)*(?<!-)\Z", re.ASCII)
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""

_SLASHES: Final = re.compile("/+")

_AWS_HOST: Final = re.compile(
    r"(?:(?P<bucket>.+)\.)?s3(?:[.-](?:dualstack\.)?[a-z]{2}(?:-[a-z]+)+-\d)?\.amazonaws\.com(?:\.cn)?\Z", re.ASCII
)


@dataclass(frozen=True, slots=True)
class S3Address:
    """One place in the object store.

    Attributes:
        bucket: A valid bucket name.
        key: An object's key, decoded, without a leading slash; empty where the address names the whole bucket.
    """

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """The address in its ``s3://`` form."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def place(self) -> str:
        """The address as a store may see it that takes several slashes for one (SeaweedFS does): for comparing only."""
        return f"{self.bucket}/{_SLASHES.sub('/', self.key).strip('/')}"

    def __str__(self) -> str:
        return self.uri


def parse_s3_uri(uri: str) -> S3Address:
    """Take an S3 URI apart.

    Args:
        uri: ``s3://bucket/key``, or one of AWS's own ``https`` forms (path style or virtual-hosted style, with or
            without a region). The key may be empty: what needs an object says so itself (`parse_object_uri`).

    Returns:
        The bucket and the key. An ``https`` path is percent-decoded, an ``s3`` one is taken as it is.

    Raises:
        ValidationError: It is neither form, names a host that is not AWS's, or its bucket or key cannot exist.
    """
    if len(uri) > MAX_URI_CHARACTERS:
        raise ValidationError(f"The S3 URI has {len(uri)} characters; the limit is {MAX_URI_CHARACTERS}.")
    scheme, separator, rest = uri.partition("://")
    host, _, path = rest.partition("/")
    if not separator or scheme not in {"s3", "https"}:
        raise ValidationError(f"{uri!r} is not an S3 URI.", advice="Write it as s3://bucket/key.")
    return _checked(uri, host, path) if scheme == "s3" else _parse_https(uri, host, path)


def parse_object_uri(uri: str) -> S3Address:
    """Take an S3 URI apart that must name one object.

    Args:
        uri: As for `parse_s3_uri`, with a key that does not end in a slash.

    Raises:
        ValidationError: As for `parse_s3_uri`, or it names a bucket or a prefix.
    """
    address = parse_s3_uri(uri)
    if not address.key or address.key.endswith("/"):
        raise ValidationError(f"{uri!r} names no object.", advice="Write it as s3://bucket/key.")
    return address


def join_key(prefix_uri: str, name: str) -> S3Address:
    """The address of `name` under a prefix: a slash is added between the two only where it is missing.

    Args:
        prefix_uri: A bucket or a prefix, as for `parse_s3_uri`; ``s3://bucket``, ``s3://bucket/`` and
            ``s3://bucket/some/prefix`` are all right.
        name: The object's own name.

    Raises:
        ValidationError: As for `parse_s3_uri`, or the joined key is longer than a key may be.
    """
    prefix = parse_s3_uri(prefix_uri)
    slash = "" if not prefix.key or prefix.key.endswith("/") else "/"
    return _checked(prefix_uri, prefix.bucket, f"{prefix.key}{slash}{name}")


def _parse_https(uri: str, host: str, path: str) -> S3Address:
    form = _AWS_HOST.match(host)
    if form is None:
        raise ValidationError(f"{uri!r} does not name an S3 host of AWS.", advice="Write it as s3://bucket/key.")
    if "?" in path or "#" in path:
        raise ValidationError(f"{uri!r} has a query or a fragment, which a location has not.")
    path = unquote(path)
    if form["bucket"] is not None:
        return _checked(uri, form["bucket"], path)
    bucket, _, key = path.partition("/")
    return _checked(uri, bucket, key)


def _checked(uri: str, bucket: str, key: str) -> S3Address:
    if _BUCKET.match(bucket) is None:
        raise ValidationError(f"{uri!r} names no valid bucket: {bucket!r}.")
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise ValidationError(f"The key in {uri!r} is not valid Unicode.") from error
    if size > MAX_KEY_BYTES:
        raise ValidationError(f"The key under {uri!r} has {size} bytes; the limit is {MAX_KEY_BYTES}.")
    # Clients and proxies on the way may resolve dot segments or cut at control characters, and then another object
    # is read or written than the one that is named. S3 itself warns of both (object-keys.html, "characters to avoid").
    if any(segment in {".", ".."} for segment in key.split("/")) or any(ord(c) < ord(" ") or c == "\x7f" for c in key):
        raise ValidationError(f"The key in {uri!r} has a '.' or '..' segment or a control character.")
    return S3Address(bucket, key)
