"""The manifest: what stands in `sagemaker_edge_manifest`.

A closed schema: a member that this version does not know is refused, so that nothing in it goes unseen.
"""

import hashlib
import re
from typing import Annotated, Literal, TypeVar

import msgspec

from edgepack.package.canonical import Encoded, canonical_json, is_made_of
from edgepack.package.errors import IdentityError, ManifestError
from edgepack.package.limits import CERTIFICATES_MAX
from edgepack.package.tar_stream import FileEntry

SCHEMA_VERSION = "1.0"
"""Version of the manifest and of the signed section. A reader refuses versions it does not know."""

IDENTITY_TEXT_MAX = 255
"""Characters of one identity value: the widest of the limits that the edge packaging API sets on them."""

_IDENTITY_TEXT = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]+")
"""Neither control characters nor surrogates, which Python makes of arguments that are not UTF-8, and cannot write."""

IdentityText = Annotated[str, msgspec.Meta(max_length=IDENTITY_TEXT_MAX)]
MetadataName = Literal["compilation_job_name", "model_name", "model_version", "target_device"]
Metadata = dict[MetadataName, IdentityText]
"""The manifest's `metadata` section. Closed like everything else, so that no untrusted one can be large."""


class TargetPlatform(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What the model was compiled for, in the words of the CreateCompilationJob API's `TargetPlatform`.

    Attributes:
        accelerator: Of the target, or None.
        arch: Its processor's architecture.
        os: Its operating system.
    """

    accelerator: Literal["INTEL_GRAPHICS", "MALI", "NVIDIA", "NNA"] | None = None
    arch: Literal["X86_64", "X86", "ARM64", "ARM_EABI", "ARM_EABIHF"]
    os: Literal["ANDROID", "LINUX"]


class ModelIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Which model a package holds.

    Attributes:
        model_name: The edge packaging job's ModelName.
        model_version: Its ModelVersion.
        target_platform: What it was compiled for, where the compilation job named a platform.
        target_device: What it was compiled for, where the compilation job named a device.
        compilation_job_name: The compilation job it comes from.
    """

    model_name: str
    model_version: str
    target_platform: TargetPlatform | None = None
    target_device: str | None = None
    compilation_job_name: str | None = None

    def metadata(self) -> Metadata:
        """The manifest's `metadata` section.

        Raises:
            IdentityError: A value is empty, too long, has control characters, or is no text that UTF-8 can write.
        """
        values: dict[MetadataName, str | None] = {
            "compilation_job_name": self.compilation_job_name,
            "model_name": self.model_name,
            "model_version": self.model_version,
            "target_device": self.target_device,
        }
        metadata = {name: value for name, value in values.items() if value is not None}
        for name, value in metadata.items():
            if len(value) > IDENTITY_TEXT_MAX or not _IDENTITY_TEXT.fullmatch(value):
                raise IdentityError(
                    f"The {name} must have 1 to {IDENTITY_TEXT_MAX} characters of UTF-8, none of them a control one."
                )
        return metadata


class _Front(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, gc=False):
    """The members in front of the signature, in alphabetical order.

    The platform comes behind it, so that it cannot be one of these: inherited fields are written first.
    """

    certificate_chain: Annotated[tuple[str, ...], msgspec.Meta(max_length=CERTIFICATES_MAX)]
    files: tuple[FileEntry, ...]
    metadata: Metadata
    schema_version: str


class ManifestBody(_Front, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, gc=False):
    """The manifest without its signature: what `manifest_sha256` of the signed statement is the digest of.

    Attributes:
        certificate_chain: PEM certificates, the signing one first, the root last; empty for a bare key.
        files: Every regular file, in archive order.
        metadata: `model_name`, `model_version`, and optionally the other names of `MetadataName`.
        schema_version: `SCHEMA_VERSION`.
        target_platform: As in `ModelIdentity`.
    """

    target_platform: TargetPlatform | None = None

    def identity(self) -> ModelIdentity:
        """Which model the package holds.

        Raises:
            ManifestError: The metadata lacks the model's name or version.
        """
        if "model_name" not in self.metadata or "model_version" not in self.metadata:
            raise ManifestError("The manifest's metadata lacks the model's name or version.")
        return ModelIdentity(
            model_name=self.metadata["model_name"],
            model_version=self.metadata["model_version"],
            target_platform=self.target_platform,
            target_device=self.metadata.get("target_device"),
            compilation_job_name=self.metadata.get("compilation_job_name"),
        )

    def signed_with(self, bundle: bytes) -> "Manifest":
        """The whole manifest.

        Args:
            bundle: The signature bundle's canonical JSON.
        """
        return Manifest(
            certificate_chain=self.certificate_chain,
            files=self.files,
            metadata=self.metadata,
            schema_version=self.schema_version,
            signature=msgspec.Raw(bundle),
            target_platform=self.target_platform,
        )


class Manifest(_Front, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, gc=False):
    """The whole manifest.

    Attributes:
        signature: The signature bundle's canonical JSON.

    The others are those of `ManifestBody`.
    """

    signature: msgspec.Raw
    target_platform: TargetPlatform | None = None

    def body(self) -> ManifestBody:
        """The part that is signed."""
        return ManifestBody(
            certificate_chain=self.certificate_chain,
            files=self.files,
            metadata=self.metadata,
            schema_version=self.schema_version,
            target_platform=self.target_platform,
        )

    def identity(self) -> ModelIdentity:
        """Which model the package holds. Raises as the body's."""
        return self.body().identity()


class _Signed(msgspec.Struct):
    signature: msgspec.Raw


_Shape = TypeVar("_Shape", _Signed, Manifest)

_SIGNATURE_KEY = b',"signature":'


def signature_in(manifest_json: Encoded) -> msgspec.Raw:
    """The signature bundle in a manifest, as a view on it. The rest is passed over, and may be of any schema.

    Args:
        manifest_json: The manifest.

    Raises:
        ManifestError: It is not JSON, or has no signature.
    """
    return _decoded(manifest_json, _Signed).signature


def decode_manifest(data: Encoded) -> Manifest:
    """Parse a manifest and require the canonical spelling.

    Raises:
        ManifestError: It is not JSON of the schema, of another version, spelt otherwise, or names no model.
    """
    manifest = _decoded(data, Manifest)
    if manifest.schema_version != SCHEMA_VERSION:
        raise ManifestError(
            f"The manifest has the schema version {manifest.schema_version!r}; this edgepack reads {SCHEMA_VERSION}.",
            advice="Verify it with a newer edgepack.",
        )
    if not is_made_of(data, *_spelling(manifest)):
        raise ManifestError("The manifest is not in canonical form.")
    try:
        manifest.identity().metadata()
    except IdentityError as error:
        raise ManifestError(f"The manifest's metadata is not that of a model. {error.message}") from None
    return manifest


def _spelling(manifest: Manifest) -> tuple[Encoded, ...]:
    """The manifest's canonical form in pieces, one of them the signature as it is: that is more than half of it."""
    body, behind = memoryview(canonical_json(manifest.body())), _behind_signature(manifest)
    return body[: -len(behind)], _SIGNATURE_KEY, manifest.signature, behind


def _behind_signature(manifest: Manifest) -> bytes:
    platform = manifest.target_platform
    return b"}" if platform is None else b',"target_platform":' + canonical_json(platform) + b"}"


def body_sha256(data: Encoded, manifest: Manifest) -> str:
    """Hex SHA-256 of the unsigned manifest: of the manifest's own bytes without the signature.

    Args:
        data: The manifest's JSON, of which `decode_manifest` made the manifest: so it is canonical.
        manifest: The manifest.
    """
    whole, behind = memoryview(data), _behind_signature(manifest)
    front = len(whole) - len(behind) - len(memoryview(manifest.signature)) - len(_SIGNATURE_KEY)
    digest = hashlib.sha256(whole[:front])
    digest.update(behind)
    return digest.hexdigest()


def _decoded(data: Encoded, shape: type[_Shape]) -> _Shape:
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ManifestError(f"The manifest does not follow its schema: {error}.") from None
