"""Putting a package together: the signed manifest in front of the model's own deflate stream, as one gzip member."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from isal import isal_zlib

from edgepack.package import gzip_format
from edgepack.package.bundle import message_of, seal
from edgepack.package.entry import content_of, entry_crc32, manifest_entry, prefix_pieces, prefix_size
from edgepack.package.manifest import SCHEMA_VERSION, ManifestBody, ModelIdentity, signature_in
from edgepack.package.scan import ArchiveScan
from edgepack.package.signature import Signer, pem_chain
from edgepack.package.statement import build_statement


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFrame:
    """What stands around the deflate stream: the package is `prefix + source[deflate_start:deflate_end] + trailer`.

    A manifest of many files takes tens of megabytes, so there is one copy of it, in the entry.

    Attributes:
        entry: The manifest's tar entry.
        deflate_size: Bytes of the deflate stream.
        trailer: 8 bytes: CRC-32 and ISIZE of the whole.
    """

    entry: bytearray
    deflate_size: int
    trailer: bytes

    @property
    def prefix_size(self) -> int:
        """Bytes of the prefix."""
        size = prefix_size(len(self.entry))
        return size + len(gzip_format.filling(size, self.deflate_size))

    @property
    def prefix(self) -> bytes:
        """The prefix in one piece: a joined copy, as large as the manifest, for whoever has a small one."""
        return b"".join(self.prefix_pieces())

    def prefix_pieces(self) -> Iterator[bytes | memoryview]:
        """Gzip header, stored blocks with the entry, filling if the package is large: piece by piece, not copied."""
        yield from prefix_pieces(self.entry)
        yield gzip_format.filling(prefix_size(len(self.entry)), self.deflate_size)

    @property
    def manifest_json(self) -> bytes:
        """The manifest, canonical: a copy."""
        return bytes(content_of(self.entry))

    @property
    def signature_bundle(self) -> str:
        """The bundle's JSON, `ModelSignature` of DescribeEdgePackagingJob: a copy."""
        return str(signature_in(content_of(self.entry)), "utf-8")


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
    body = ManifestBody(
        certificate_chain=pem_chain(signer.certificate_chain),
        files=scan.files,
        metadata=identity.metadata(),
        schema_version=SCHEMA_VERSION,
        target_platform=identity.target_platform,
    )
    bundle = seal(message_of(build_statement(scan, body, signed_at)), signer)
    entry = manifest_entry(body.signed_with(bundle), int(signed_at.timestamp()))
    return PackageFrame(
        entry=entry,
        deflate_size=scan.deflate_size,
        trailer=package_trailer(entry, scan.crc32, scan.tar_size),
    )


def package_trailer(entry: bytes | bytearray, tar_crc32: int, tar_size: int) -> bytes:
    """The package's last 8 bytes.

    Args:
        entry: The manifest's tar entry.
        tar_crc32: CRC-32 of the model's tar stream.
        tar_size: Its bytes.
    """
    crc32 = isal_zlib.crc32_combine(entry_crc32(entry), tar_crc32, tar_size)
    return gzip_format.trailer(crc32, len(entry) + tar_size)
