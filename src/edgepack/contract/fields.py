"""The types of members, with their limits as data.

A pattern is AWS's own, anchored by `whole`: AWS matches the whole value, and Python's `$` would let a newline pass.
Sources: the pages of the types and members in the SageMaker API reference, version 2017-07-24.
"""

from enum import StrEnum
from typing import Annotated, Literal

import msgspec

SAGEMAKER_API_VERSION = "2017-07-24"
STS_API_VERSION = "2011-06-15"

_START, _END = r"\A(?:", r")\Z"


def whole(pattern: str) -> str:
    """AWS's pattern, made to match the whole value."""
    return f"{_START}{pattern}{_END}"


def aws_pattern(anchored: str) -> str:
    """The pattern as AWS prints it: what `whole` was given."""
    return anchored.removeprefix(_START).removesuffix(_END)


def text(least: int | None = None, most: int | None = None, pattern: str | None = None) -> msgspec.Meta:
    """Limits of a string: length in characters, and the pattern of the whole."""
    return msgspec.Meta(min_length=least, max_length=most, pattern=None if pattern is None else whole(pattern))


Timestamp = float
"""Seconds since the epoch, with a fraction."""

_TAG_CHARACTERS = r"[\p{L}\p{Z}\p{N}_.:/=+\-@]"
_PYTHON_TAG_CHARACTERS = r"[^\W_]|[\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000_.:/=+\-@]"
"""The same set for Python's `re`, which has no `\p`: letters and numbers are `\w` less `_`, `\p{Z}` is spelt out."""

PATTERNS_IN_PYTHON = {
    rf"({_TAG_CHARACTERS}*)": rf"(?:{_PYTHON_TAG_CHARACTERS})*",
    rf"{_TAG_CHARACTERS}*": rf"(?:{_PYTHON_TAG_CHARACTERS})*",
    rf"{_TAG_CHARACTERS}+": rf"(?:{_PYTHON_TAG_CHARACTERS})+",
    # Java's \w is ASCII; so is botocore's model of STS. Python's would let every letter of Unicode pass.
    r"[\w+=,.@-]*": r"[A-Za-z0-9_+=,.@-]*",
    r"[\w+=,.@:\/-]*": r"[A-Za-z0-9_+=,.@:\/-]*",
    r"[\w+=/:,.@-]*": r"[A-Za-z0-9_+=/:,.@-]*",
    r"[\w+=,.@:-]*": r"[A-Za-z0-9_+=,.@:-]*",
    r"[\w]*": r"[A-Za-z0-9_]*",
    r"[\d]*": r"[0-9]*",
    r"[\w:]+": r"[A-Za-z0-9_:]+",
    r"arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+": r"arn:aws[a-z\-]*:iam::[0-9]{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
}
EntityName = Annotated[str, text(1, 63, r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")]
EdgeVersion = Annotated[str, text(1, 30, r"[a-zA-Z0-9\ \_\.]+")]
RoleArn = Annotated[str, text(20, 2048, r"arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")]
S3Uri = Annotated[str, text(0, 1024, r"(https|s3)://([^/]+)/?(.*)")]
KmsKeyId = Annotated[str, text(0, 2048, r"[a-zA-Z0-9:/_-]*")]
NextToken = Annotated[str, text(0, 8192, r".*")]
NameContains = Annotated[str, text(0, 63, r"[a-zA-Z0-9\-]+")]
EdgePresetDeploymentArtifact = Annotated[str, text(20, 2048)]
EdgePackagingJobArn = Annotated[
    str, text(20, 2048, r"arn:aws[a-z\-]*:sagemaker:[a-z\-]*:\d{12}:edge-packaging-job/?[a-zA-Z_0-9+=,.@\-_/]+")
]
