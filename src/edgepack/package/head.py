"""The first bytes of a package: gzip header and manifest, in the one form there is."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from edgepack.package import gzip_format
from edgepack.package.assembly import manifest_entry, prefix_pieces
from edgepack.package.bundle import OpenedBundle, open_bundle
from edgepack.package.errors import ManifestError, SignatureError
from edgepack.package.limits import MANIFEST_SIZE_MAX
from edgepack.package.manifest import Manifest, ModelIdentity, canonical_json, decode_manifest
from edgepack.package.signature import verifies
from edgepack.package.source import Source
from edgepack.package.statement import Coverage
from edgepack.package.tar_headers import BLOCK_SIZE
from edgepack.package.trust import SignerIdentity, TrustRoots

_SIZE_FIELD = slice(124, 135)
"""Of a ustar header: eleven octal digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedHead:
    """A head in the one form there is, by whomever: its signature has not been looked at, and anyone can write one.

    Attributes:
        entry: The manifest's tar entry.
        manifest: The manifest, as it stands there.
        bundle: The signature bundle, taken apart.
        signed_at: When it claims to have been signed.
        package_size: Bytes that the whole package has by its own account.
    """

    entry: bytes
    manifest: Manifest
    bundle: OpenedBundle
    signed_at: datetime
    package_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedHead:
    """A head whose signature holds: everything in it is what the signer said.

    Attributes:
        entry: The manifest's tar entry.
        manifest: The manifest.
        identity: Which model the package holds.
        coverage: What the rest of the package must be.
        signer: Who signed.
        signed_at: When, by the signer's clock.
    """

    entry: bytes
    manifest: Manifest
    identity: ModelIdentity
    coverage: Coverage
    signer: SignerIdentity
    signed_at: datetime


def read_head(source: Source, *, trust: TrustRoots, now: datetime) -> VerifiedHead:
    """Read a package's head and check its signature, before anything else is looked at.

    Args:
        source: The package from its first byte; afterwards it stands at the model's deflate stream.
        trust: Who may have signed.
        now: The verifier's clock, aware.

    Raises:
        TruncatedError: The bytes end inside the head.
        ManifestError: It is not a package's head.
        SignatureError: The signature does not hold, or its signer is not trusted.
    """
    claimed = read_unverified_head(source)
    key, signer = trust.check(claimed.bundle, now=now)
    if not verifies(key, claimed.bundle.signature, claimed.bundle.message):
        raise SignatureError("The signature is not the signer's.")
    _check_agreement(claimed.manifest, claimed.bundle)
    return VerifiedHead(
        entry=claimed.entry,
        manifest=claimed.manifest,
        identity=claimed.manifest.identity(),
        coverage=claimed.bundle.statement.predicate.edgepack,
        signer=signer,
        signed_at=claimed.signed_at,
    )


def read_unverified_head(source: Source) -> UnverifiedHead:
    """Read a package's head without asking who signed it: only to show it, or to check it next.

    Args:
        source: The package from its first byte; afterwards it stands at the model's deflate stream.

    Raises:
        TruncatedError: The bytes end inside the head.
        ManifestError: It is not a package's head.
        SignatureError: The signature bundle is malformed.
    """
    entry = _read_entry(source)
    entry_end = source.position
    manifest_json = entry[BLOCK_SIZE : BLOCK_SIZE + int(entry[_SIZE_FIELD], 8)]
    manifest = decode_manifest(manifest_json)
    bundle = open_bundle(bytes(manifest.signature))
    coverage = bundle.statement.predicate.edgepack
    signed_at = coverage.signing_time()
    if entry != manifest_entry(manifest_json, int(signed_at.timestamp())):
        raise ManifestError("The manifest's tar entry is not in canonical form.")
    filling = gzip_format.filling(entry_end, coverage.deflate_size)
    if source.read(len(filling)) != filling:
        raise ManifestError("The package's head is not in canonical form.")
    package_size = source.position + coverage.deflate_size + gzip_format.TRAILER_SIZE
    return UnverifiedHead(entry=entry, manifest=manifest, bundle=bundle, signed_at=signed_at, package_size=package_size)


def _read_entry(source: Source) -> bytes:
    """The manifest's tar entry, out of stored blocks that must be exactly those that `prefix_pieces` makes."""
    head = source.read(len(gzip_format.CANONICAL_HEADER) + gzip_format.STORED_BLOCK_HEADER_SIZE + BLOCK_SIZE)
    header = head[-BLOCK_SIZE:]
    digits = header[_SIZE_FIELD]
    if not digits.isdigit() or digits.strip(b"01234567"):
        raise ManifestError("The package does not start with a manifest.")
    size = int(digits, 8)
    if not 0 < size <= MANIFEST_SIZE_MAX:
        raise ManifestError(f"The manifest claims {size} bytes; 1 to {MANIFEST_SIZE_MAX} are read.")
    entry_size = BLOCK_SIZE + size + -size % BLOCK_SIZE
    prefix_size = len(gzip_format.CANONICAL_HEADER) + gzip_format.stored_size(entry_size)
    prefix = head + source.read(prefix_size - len(head))
    entry = _without_block_headers(prefix, entry_size)
    if b"".join(prefix_pieces(entry)) != prefix:
        raise ManifestError("The package's head is not in canonical form.")
    return entry


def _without_block_headers(prefix: bytes, entry_size: int) -> bytes:
    step = gzip_format.STORED_BLOCK_HEADER_SIZE + gzip_format.STORED_BLOCK_MAX
    start = len(gzip_format.CANONICAL_HEADER)
    blocks = [
        prefix[position + gzip_format.STORED_BLOCK_HEADER_SIZE : position + step]
        for position in range(start, len(prefix), step)
    ]
    entry = b"".join(blocks)
    assert len(entry) == entry_size
    return entry


def _check_agreement(manifest: Manifest, bundle: OpenedBundle) -> None:
    """The manifest says nothing that was not signed, and nothing that was signed is missing from it."""
    predicate = bundle.statement.predicate
    coverage = predicate.edgepack
    body = manifest.body()
    if hashlib.sha256(canonical_json(body)).hexdigest() != coverage.manifest_sha256:
        raise SignatureError("The manifest is not the one that was signed.")
    chain = tuple(
        load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode("ascii") for der in bundle.certificates
    )
    if manifest.certificate_chain != chain:
        raise SignatureError("The manifest's certificate chain is not the signature's.")
    if manifest.metadata != coverage.metadata or manifest.target_platform != coverage.target_platform:
        raise SignatureError("The manifest's metadata is not that of the signed statement.")
    if bundle.statement.subject[0].name != manifest.identity().model_name:
        raise SignatureError("The signed statement is about another model.")
    files = sorted((file.path, file.sha256) for file in manifest.files)
    if [(resource.name, resource.digest) for resource in predicate.resources] != files:
        raise SignatureError("The manifest's files are not those of the signed statement.")
    if len({path for path, _ in files}) != len(files):
        raise SignatureError("A file is signed twice.")


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
