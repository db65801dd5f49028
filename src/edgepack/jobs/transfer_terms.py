"""What a transfer is told, and what it tells: how to sign, how far it has come, what was written."""

from dataclasses import dataclass
from datetime import datetime

from edgepack.objects.info import ObjectInfo
from edgepack.package.assembly import PackageFrame, frame_package
from edgepack.package.manifest import ModelIdentity
from edgepack.package.scan import ArchiveScan
from edgepack.package.signature import Signer


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """How far a transfer has come.

    Attributes:
        bytes_read: Bytes of the source that have been scanned.
        bytes_total: All of them.
        known_from: The edge packaging job that has signed the digests, if the bytes need not be scanned.
    """

    bytes_read: int
    bytes_total: int
    known_from: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedObject:
    """A package that has been written.

    Attributes:
        info: The object.
        signature_bundle: The bundle's JSON: `ModelSignature` of DescribeEdgePackagingJob.
        prefix_size: Bytes in front of the model's own deflate data.
        prefix_sha256: Their SHA-256, hex.
        trailer: The last 8 bytes.
        file_count: Files of the model.
        repacked: Whether the model was compressed anew; else the package's body is the source's own.
        known_from: The edge packaging job whose package the digests were taken from, or None: all was read.
    """

    info: ObjectInfo
    signature_bundle: str
    prefix_size: int
    prefix_sha256: str
    trailer: bytes
    file_count: int
    repacked: bool = False
    known_from: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """What a package is signed as, by whom and when.

    Attributes:
        identity: The model.
        signer: Signs once.
        signed_at: Aware time.
    """

    identity: ModelIdentity
    signer: Signer
    signed_at: datetime

    def frame(self, scan: ArchiveScan) -> PackageFrame:
        """The frame around what was scanned."""
        return frame_package(scan, identity=self.identity, signer=self.signer, signed_at=self.signed_at)
