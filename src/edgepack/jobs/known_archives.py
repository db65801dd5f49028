"""What an earlier edge packaging job has signed about the very bytes that are to be packaged again.

Digests are taken over only where identity of the bytes is proven: for a whole archive, from a package's signature, for
one version of one object (docs/adr/0009). Whatever is in doubt is not known, and the archive is scanned.
"""

import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime

import msgspec

from edgepack import __version__
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs, packaged_from
from edgepack.database.engine import Database
from edgepack.database.records import EdgePackagingJob
from edgepack.errors import ArtifactError, StoreError
from edgepack.objects.address import S3Address
from edgepack.objects.info import ObjectInfo
from edgepack.objects.store import ObjectStore
from edgepack.package.bundle import OpenedBundle, open_bundle
from edgepack.package.errors import SignatureError
from edgepack.package.gzip_format import TRAILER_SIZE, trailer
from edgepack.package.head import VerifiedHead, verify_head
from edgepack.package.limits import MANIFEST_SIZE_MAX, MIB
from edgepack.package.scan import ArchiveScan, FileEntry
from edgepack.package.statement import Coverage
from edgepack.package.trust import TrustRoots

log = logging.getLogger(__name__)

PREFIX_SIZE_MAX = MANIFEST_SIZE_MAX + MIB
"""Bytes in front of a package's body that are read: the largest manifest, its headers and the filling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownArchive:
    """An archive whose digests are known from a signed package.

    Attributes:
        job_name: The edge packaging job that made the package.
        files: Its regular files, in archive order.
        coverage: What else was signed of it.
    """

    job_name: str
    files: tuple[FileEntry, ...]
    coverage: Coverage

    def scan_from(self, deflate_start: int) -> ArchiveScan:
        """What a scan of the archive would find.

        Args:
            deflate_start: Offset in the archive of the first deflate byte.
        """
        signed = self.coverage
        return ArchiveScan(
            files=self.files,
            deflate_start=deflate_start,
            deflate_end=deflate_start + signed.deflate_size,
            deflate_crc32=signed.deflate_crc32,
            crc32=signed.tar_crc32,
            tar_size=signed.tar_size,
            framing_sha256=signed.framing_sha256,
        )

    @property
    def trailer(self) -> bytes:
        """The archive's last bytes: CRC-32 and size of its tar stream."""
        return trailer(self.coverage.tar_crc32, self.coverage.tar_size)


def source_fingerprint(source: ObjectInfo) -> str | None:
    """Hex SHA-256 of all that must be the same if what is known of an archive is to hold; None if nothing proves it.

    The version of edgepack is in it, because the rules for archives change with it: what one version has let pass, the
    next one may refuse.

    Args:
        source: The archive, as the store has just described it.
    """
    if source.lasting_version is None or source.written_at is None:
        return None
    same = [
        __version__,
        source.address.bucket,
        source.address.key,
        source.lasting_version,
        source.etag,
        source.size,
        source.written_at,
    ]
    return hashlib.sha256(msgspec.json.encode(same)).hexdigest()


def find_known(  # noqa: PLR0913 - keyword-only
    database: Database, store: ObjectStore, source: ObjectInfo, *, account_id: str, trust: TrustRoots, now: datetime
) -> KnownArchive | None:
    """Look for an earlier job of the account that has packaged the same bytes, and read what it has signed.

    Args:
        database: Where jobs are.
        store: Where the source and the packages are.
        source: The archive, as the store has just described it.
        account_id: Whose jobs.
        trust: The root that the signature must lead to.
        now: Aware time.

    Returns:
        What is known beyond doubt; None otherwise.

    Raises:
        DatabaseUnavailableError: The database could not be asked.
    """
    fingerprint = source_fingerprint(source)
    if fingerprint is None:
        return None
    with database.read() as connection:
        job = packaged_from(connection, account_id, fingerprint)
        answer = None if job is None else edge_packaging_jobs.described(connection, job.id)
    if job is None or answer is None:
        return None
    try:
        head = _read_head(store, job, answer, trust=trust, now=now)
    except (ArtifactError, StoreError) as error:
        log.info("%s is scanned anew: the package of %s does not serve: %s", source.address, job.arn, error.message)
        return None
    except Exception:
        # Whoever may write to the bucket may have put anything there: it must not fail a job that can do without.
        log.exception("%s is scanned anew: reading the package of %s met a defect", source.address, job.arn)
        return None
    return KnownArchive(job_name=job.name, files=head.manifest.files, coverage=head.coverage)


class _Promised(msgspec.Struct, frozen=True, rename="pascal"):
    """What a Describe answer promises of a package."""

    model_signature: str = ""


def _read_head(
    store: ObjectStore, job: EdgePackagingJob, answer: bytes, *, trust: TrustRoots, now: datetime
) -> VerifiedHead:
    bundle = open_bundle(msgspec.json.decode(answer, type=_Promised).model_signature.encode())
    _require_valid_signer(bundle, trust, now)
    package = store.head(S3Address(job.output_bucket, job.output_key))
    prefix_size = package.size - TRAILER_SIZE - bundle.statement.predicate.edgepack.deflate_size
    if not 0 < prefix_size <= PREFIX_SIZE_MAX:
        raise SignatureError(f"{package.address} has another size than was signed.")
    head = verify_head(store.read_range(package, start=0, end=prefix_size), trust=trust, now=now)
    # Another package in its place may be signed by the same root: only the job's own says what the job has packaged.
    if (head.signature, head.coverage) != (bundle.signature, bundle.statement.predicate.edgepack):
        raise SignatureError(f"{package.address} carries another signature than the job has described.")
    return head


def _require_valid_signer(bundle: OpenedBundle, trust: TrustRoots, now: datetime) -> None:
    """A package stays good when its signer's certificate has expired; new ones are not built upon it."""
    trust.check_signer(bundle.certificates, hint=bundle.hint, signed_at=now, now=now)
