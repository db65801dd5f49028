"""Putting a package together: the signed manifest in front of the model's own deflate stream, as one gzip member."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from isal import isal_zlib

from edgepack.package import gzip_format
from edgepack.package.bundle import seal
from edgepack.package.manifest import SCHEMA_VERSION, Manifest, ManifestBody, ModelIdentity, canonical_json
from edgepack.package.names import MANIFEST_NAME
from edgepack.package.scan import ArchiveScan
from edgepack.package.signature import Signer
from edgepack.package.statement import build_statement
from edgepack.package.tar_headers import BLOCK_SIZE

MANIFEST_MODE = b"0000644"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFrame:
    """What stands around the deflate stream: the package is `prefix + source[deflate_start:deflate_end] + trailer`.

    Attributes:
        prefix: gzip header and stored blocks with the manifest's tar entry, filled up if the package is large.
        trailer: 8 bytes: CRC-32 and ISIZE of the whole.
        manifest_json: The manifest, canonical.
        signature_bundle: The bundle's JSON: `ModelSignature` of DescribeEdgePackagingJob.
    """

    prefix: bytes
    trailer: bytes
    manifest_json: bytes
    signature_bundle: str


def frame_package(scan: ArchiveScan, *, identity: ModelIdentity, signer: Signer, signed_at: datetime) -> PackageFrame:
    """Make and sign the manifest, and frame the package.

    Args:
        scan: The model artifact; for one that cannot be spliced, what `repack` found.
        identity: Which model it is.
        signer: Signs once.
        signed_at: Aware time of signing; the signing certificate must be valid then. Kept in whole seconds.

    Raises:
        IdentityError: The identity cannot stand in a manifest.
        SigningError: The signer does not work.
    """
    chain = tuple(_pem(der) for der in signer.certificate_chain)
    body = ManifestBody(
        certificate_chain=chain,
        files=scan.files,
        metadata=identity.metadata(),
        schema_version=SCHEMA_VERSION,
        target_platform=identity.target_platform,
    )
    bundle = seal(build_statement(scan, body, signed_at), signer)
    manifest = Manifest(
        certificate_chain=chain,
        files=scan.files,
        metadata=dict(body.metadata),
        schema_version=SCHEMA_VERSION,
        signature=msgspec.Raw(bundle),
        target_platform=identity.target_platform,
    )
    manifest_json = canonical_json(manifest)
    entry = manifest_entry(manifest_json, int(signed_at.timestamp()))
    return PackageFrame(
        prefix=_prefix(entry, scan.deflate_size),
        trailer=package_trailer(entry, scan.crc32, scan.tar_size),
        manifest_json=manifest_json,
        signature_bundle=bundle.decode(),
    )


def manifest_entry(manifest_json: bytes, modified_at: int) -> bytes:
    """The manifest as a tar member: POSIX ustar header, content, padding.

    Args:
        manifest_json: The content.
        modified_at: Seconds since 1970: the signing time.
    """
    header = b"".join(
        (
            MANIFEST_NAME.encode().ljust(100, b"\0"),
            MANIFEST_MODE.ljust(8, b"\0"),
            b"0000000\0" * 2,
            b"%011o\0%011o\0" % (len(manifest_json), modified_at),
            b" " * 8,
            b"0".ljust(101, b"\0"),
            b"ustar\x0000".ljust(72, b"\0"),
            b"0000000\0" * 2,
            bytes(167),
        )
    )
    checksum = b"%06o\0 " % sum(header)
    return b"".join((header[:148], checksum, header[156:], manifest_json, bytes(-len(manifest_json) % BLOCK_SIZE)))


def prefix_pieces(entry: bytes) -> Iterator[bytes | memoryview]:
    """The package's first bytes: canonical gzip header, then the manifest's tar entry in stored blocks."""
    yield gzip_format.CANONICAL_HEADER
    yield from gzip_format.stored_blocks(entry)


def _prefix(entry: bytes, deflate_size: int) -> bytes:
    size = len(gzip_format.CANONICAL_HEADER) + gzip_format.stored_size(len(entry))
    return b"".join((*prefix_pieces(entry), gzip_format.filling(size, deflate_size)))


def package_trailer(entry: bytes, tar_crc32: int, tar_size: int) -> bytes:
    """The package's last 8 bytes.

    Args:
        entry: The manifest's tar entry.
        tar_crc32: CRC-32 of the model's tar stream.
        tar_size: Its bytes.
    """
    crc32 = isal_zlib.crc32_combine(isal_zlib.crc32(entry), tar_crc32, tar_size)
    return gzip_format.trailer(crc32, len(entry) + tar_size)


def _pem(der: bytes) -> str:
    return x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM).decode("ascii")
