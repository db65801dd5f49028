"""The first bytes of a package: gzip header and manifest, in the one form there is."""

from dataclasses import dataclass
from datetime import datetime

from edgepack.package import gzip_format
from edgepack.package.bundle import OpenedBundle, open_bundle
from edgepack.package.entry import check_entry, content_of, entry_crc32, read_entry
from edgepack.package.errors import ManifestError, SignatureError
from edgepack.package.inflate import Seed
from edgepack.package.manifest import (
    Manifest,
    ManifestBody,
    ModelIdentity,
    body_sha256,
    decode_manifest,
    signature_in,
)
from edgepack.package.signature import pem_chain, verifies
from edgepack.package.source import Source
from edgepack.package.statement import Coverage, check_resources
from edgepack.package.trust import SignerIdentity, TrustRoots


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedHead:
    """A head in the one form there is, by whomever: its signature has not been looked at, and anyone can write one.

    Attributes:
        manifest: The manifest, as it stands there.
        bundle: The signature bundle, taken apart.
        signed_at: When it claims to have been signed.
        package_size: Bytes that the whole package has by its own account.
    """

    manifest: Manifest
    bundle: OpenedBundle
    signed_at: datetime
    package_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedHead:
    """A head whose signature holds: everything in it is what the signer said.

    Attributes:
        seed: What the head inflates to, which the trailer covers too.
        manifest: The manifest without its signature.
        identity: Which model the package holds.
        coverage: What the rest of the package must be.
        signature: DER ECDSA signature.
        signer: Who signed.
        signed_at: When, by the signer's clock.
    """

    seed: Seed
    manifest: ManifestBody
    identity: ModelIdentity
    coverage: Coverage
    signature: bytes
    signer: SignerIdentity
    signed_at: datetime


@dataclass(frozen=True, slots=True)
class _OpenedHead:
    entry: bytearray
    bundle: OpenedBundle
    signed_at: datetime
    package_size: int


def read_head(source: Source, *, trust: TrustRoots, now: datetime) -> VerifiedHead:
    """Read a package's head and check its signature, before anything else is looked at.

    The list of files is taken apart last: who is not trusted cannot have much memory used for it.

    Args:
        source: The package from its first byte; afterwards it stands at the model's deflate stream.
        trust: Who may have signed.
        now: The verifier's clock, aware.

    Raises:
        TruncatedError: The bytes end inside the head.
        ManifestError: It is not a package's head.
        SignatureError: The signature does not hold, or its signer is not trusted.
    """
    opened = _open_head(source)
    key, signer = trust.check(opened.bundle, now=now)
    if not verifies(key, opened.bundle.signature, opened.bundle.message):
        raise SignatureError("The signature is not the signer's.")
    manifest = decode_manifest(content_of(opened.entry))
    _check_agreement(manifest, body_sha256(content_of(opened.entry), manifest), opened.bundle)
    return VerifiedHead(
        seed=Seed(crc32=entry_crc32(opened.entry), size=len(opened.entry), position=source.position),
        manifest=manifest.body(),
        identity=manifest.identity(),
        coverage=opened.bundle.statement.predicate.edgepack,
        signature=opened.bundle.signature,
        signer=signer,
        signed_at=opened.signed_at,
    )


def read_unverified_head(source: Source) -> UnverifiedHead:
    """Read a package's head without asking who signed it: only to show it.

    Args:
        source: The package from its first byte; afterwards it stands at the model's deflate stream.

    Raises:
        TruncatedError: The bytes end inside the head.
        ManifestError: It is not a package's head.
        SignatureError: The signature bundle is malformed.
    """
    opened = _open_head(source)
    return UnverifiedHead(
        manifest=decode_manifest(content_of(opened.entry)),
        bundle=opened.bundle,
        signed_at=opened.signed_at,
        package_size=opened.package_size,
    )


def _open_head(source: Source) -> _OpenedHead:
    entry = read_entry(source)
    entry_end = source.position
    bundle = open_bundle(signature_in(content_of(entry)))
    coverage = bundle.statement.predicate.edgepack
    signed_at = coverage.signing_time()
    check_entry(entry, modified_at=int(signed_at.timestamp()))
    filling = gzip_format.filling(entry_end, coverage.deflate_size)
    if source.read(len(filling)) != filling:
        raise ManifestError("The package's head is not in canonical form.")
    package_size = source.position + coverage.deflate_size + gzip_format.TRAILER_SIZE
    return _OpenedHead(entry, bundle, signed_at, package_size)


def _check_agreement(manifest: Manifest, manifest_sha256: str, bundle: OpenedBundle) -> None:
    """The manifest says nothing that was not signed, and nothing that was signed is missing from it."""
    statement = bundle.statement
    coverage = statement.predicate.edgepack
    if manifest_sha256 != coverage.manifest_sha256:
        raise SignatureError("The manifest is not the one that was signed.")
    if manifest.certificate_chain != pem_chain(bundle.certificates):
        raise SignatureError("The manifest's certificate chain is not the signature's.")
    if manifest.metadata != coverage.metadata or manifest.target_platform != coverage.target_platform:
        raise SignatureError("The manifest's metadata is not that of the signed statement.")
    if statement.subject[0].name != manifest.identity().model_name:
        raise SignatureError("The signed statement is about another model.")
    check_resources(statement, manifest.files)


def verify_head(prefix: bytes, *, trust: TrustRoots, now: datetime) -> VerifiedHead:
    """Check a package's head alone: the manifest and its signature, from the package's first bytes.

    Args:
        prefix: The first bytes of a package, at least as many as its head has; further ones are not looked at.
        trust: Who may have signed.
        now: The verifier's clock, aware.

    Raises:
        TruncatedError: There are too few bytes.
        ManifestError: It is not a package's head.
        SignatureError: The signature does not hold, or its signer is not trusted.
    """
    return read_head(Source([prefix]), trust=trust, now=now)
