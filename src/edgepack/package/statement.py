"""The signed statement: an in-toto statement v1 with OpenSSF Model Signing's predicate v1.0.

The predicate's `edgepack` section binds what model_signing does not look at: the manifest, the tar framing, the
compressed bytes.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from operator import attrgetter

import msgspec

from edgepack.package.canonical import canonical_json, is_made_of
from edgepack.package.errors import SignatureError
from edgepack.package.manifest import SCHEMA_VERSION, ManifestBody, Metadata, TargetPlatform
from edgepack.package.names import MANIFEST_NAME
from edgepack.package.scan import ArchiveScan, FileEntry

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"

SHA256_DIGITS = 64
"""Hex digits of a SHA-256 digest."""

_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


class ClosedStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Closed JSON objects; fields in alphabetical order."""


class Resource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One signed file, as Model Signing names it.

    Attributes:
        algorithm: `sha256`.
        digest: Hex digest of the file's content.
        name: The file's path.
    """

    algorithm: str
    digest: str
    name: str


class Coverage(ClosedStruct, frozen=True, kw_only=True):
    """The statement's `edgepack` section: what else is signed.

    Attributes:
        deflate_crc32: CRC-32 of the deflate bytes taken over from the source.
        deflate_size: Their number.
        framing_sha256: Hex SHA-256 of the tar stream behind the manifest's entry, without the files' contents.
        manifest_sha256: Hex SHA-256 of the manifest without its `signature`, in canonical form.
        metadata: The manifest's metadata, for whoever reads the statement alone.
        schema_version: `SCHEMA_VERSION`.
        signed_at: The signer's time, RFC 3339, UTC, whole seconds.
        tar_crc32: CRC-32 of the tar stream behind the manifest's entry.
        tar_size: Its bytes.
        target_platform: The manifest's platform.
    """

    deflate_crc32: int
    deflate_size: int
    framing_sha256: str
    manifest_sha256: str
    metadata: Metadata
    schema_version: str
    signed_at: str
    tar_crc32: int
    tar_size: int
    target_platform: TargetPlatform | None = None

    def signing_time(self) -> datetime:
        """`signed_at` as an aware datetime.

        Raises:
            SignatureError: It is not of the one accepted form.
        """
        try:
            time = datetime.strptime(self.signed_at, _TIME_FORMAT).replace(tzinfo=UTC)
        except ValueError:
            raise SignatureError(
                f"The signing time {self.signed_at!r} is not of the form 2026-01-31T12:00:00Z."
            ) from None
        if format_time(time) != self.signed_at:
            raise SignatureError(f"The signing time {self.signed_at!r} is not of the form 2026-01-31T12:00:00Z.")
        return time


def format_time(time: datetime) -> str:
    """An aware datetime as RFC 3339 in UTC with whole seconds."""
    return time.astimezone(UTC).strftime(_TIME_FORMAT)


class Serialization(ClosedStruct, frozen=True, kw_only=True):
    """How model_signing must read the files to come to the same digests."""

    allow_symlinks: bool
    hash_type: str
    ignore_paths: tuple[str, ...]
    method: str


SERIALIZATION = Serialization(allow_symlinks=False, hash_type="sha256", ignore_paths=(MANIFEST_NAME,), method="files")


class Predicate(ClosedStruct, frozen=True, kw_only=True):
    """The statement's predicate.

    Attributes:
        edgepack: What else is signed.
        resources: A list of `Resource` as JSON, by name. The manifest lists the same files, so no verifier needs them
            once more as objects: of 100,000 files they would take 24 MB.
        serialization: `SERIALIZATION`.
    """

    edgepack: Coverage
    resources: msgspec.Raw
    serialization: Serialization


class SubjectDigest(ClosedStruct, frozen=True, kw_only=True):
    """Hex SHA-256 over all resources' raw digests in their order."""

    sha256: str


class Subject(ClosedStruct, frozen=True, kw_only=True):
    """What the statement is about: the model, by its name."""

    digest: SubjectDigest
    name: str


class Statement(ClosedStruct, frozen=True, kw_only=True):
    """The in-toto statement that is signed."""

    type_: str = msgspec.field(name="_type")
    predicate: Predicate
    predicateType: str  # noqa: N815 - in-toto's spelling
    subject: tuple[Subject]


def build_statement(scan: ArchiveScan, body: ManifestBody, signed_at: datetime) -> Statement:
    """State every fact about a package that its signer answers for.

    Args:
        scan: The model artifact.
        body: The manifest without its signature.
        signed_at: The signer's time.
    """
    resources = resources_of(body.files)
    return Statement(
        type_=STATEMENT_TYPE,
        predicate=Predicate(
            edgepack=Coverage(
                deflate_crc32=scan.deflate_crc32,
                deflate_size=scan.deflate_size,
                framing_sha256=scan.framing_sha256,
                manifest_sha256=hashlib.sha256(canonical_json(body)).hexdigest(),
                metadata=body.metadata,
                schema_version=SCHEMA_VERSION,
                signed_at=format_time(signed_at),
                tar_crc32=scan.crc32,
                tar_size=scan.tar_size,
                target_platform=body.target_platform,
            ),
            resources=msgspec.Raw(canonical_json(resources)),
            serialization=SERIALIZATION,
        ),
        predicateType=PREDICATE_TYPE,
        subject=(Subject(digest=SubjectDigest(sha256=root_digest(resources)), name=body.metadata["model_name"]),),
    )


def resources_of(files: Sequence[FileEntry]) -> list[Resource]:
    """The files as the statement lists them."""
    resources = [Resource("sha256", file.sha256, file.path) for file in files]
    resources.sort(key=attrgetter("name"))
    return resources


def root_digest(resources: Sequence[Resource]) -> str:
    """Hex SHA-256 over the resources' raw digests, as Model Signing defines the subject's digest."""
    return hashlib.sha256(bytes.fromhex("".join([resource.digest for resource in resources]))).hexdigest()


def check_statement(statement: Statement) -> None:
    """Check what every statement must be, whatever it is about.

    Raises:
        SignatureError: It is of another type or version.
    """
    predicate = statement.predicate
    if statement.type_ != STATEMENT_TYPE or statement.predicateType != PREDICATE_TYPE:
        raise SignatureError("The signed statement is of another type.")
    if predicate.serialization != SERIALIZATION or predicate.edgepack.schema_version != SCHEMA_VERSION:
        raise SignatureError("The signed statement is of another version.")


def check_resources(statement: Statement, files: Sequence[FileEntry]) -> None:
    """Check that a statement is about just these files.

    Args:
        statement: The statement.
        files: The manifest's.

    Raises:
        SignatureError: It is about others, contradicts itself, or lists one twice.
    """
    resources = resources_of(files)
    if not is_made_of(statement.predicate.resources, canonical_json(resources)):
        _check_digests(statement, _listed(statement))
        raise SignatureError("The manifest's files are not those of the signed statement.")
    _check_digests(statement, resources)
    if any(one.name == next_one.name for one, next_one in pairwise(resources)):
        raise SignatureError("A file is signed twice.")


def _check_digests(statement: Statement, resources: Sequence[Resource]) -> None:
    if not _all_sha256(resources):
        wrong = next(resource for resource in resources if not _all_sha256([resource]))
        raise SignatureError(f"The signed digest of {wrong.name!r} is not a SHA-256 one.")
    if not resources or statement.subject[0].digest.sha256 != root_digest(resources):
        raise SignatureError("The signed statement's root digest is not that of its files.")


def _all_sha256(resources: Sequence[Resource]) -> bool:
    """Whether each names a SHA-256 digest in lower-case hex: looked at together, in half the time."""
    digests = [resource.digest for resource in resources]
    return (
        all(resource.algorithm == "sha256" for resource in resources)
        and all(len(digest) == SHA256_DIGITS for digest in digests)
        and not "".join(digests).encode().translate(None, b"0123456789abcdef")
    )


def _listed(statement: Statement) -> list[Resource]:
    try:
        return msgspec.json.decode(statement.predicate.resources, type=list[Resource])
    except msgspec.MsgspecError as error:
        raise SignatureError(f"The signed statement's list of files does not follow its schema: {error}.") from None
