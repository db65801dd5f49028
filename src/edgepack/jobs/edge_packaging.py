"""The edge packaging job: package → check what is stored → publish → complete.

Scanning, hashing, signing and writing are one step, because they share one pass over the bytes: the source is read
once, and the parts of the package are on their way while it is being hashed (docs/adr/0003).
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from edgepack.contract import compilation_jobs as contract
from edgepack.contract.edge_packaging_jobs import EdgePresetDeploymentOutput
from edgepack.database import components
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database
from edgepack.database.records import MICROSECONDS, EdgePackagingJob
from edgepack.errors import StoreError
from edgepack.jobs.attempt import Attempt, Clock
from edgepack.jobs.checking import check_stored
from edgepack.jobs.disk_room import DiskRoom
from edgepack.jobs.engine import EDGE_PACKAGING_QUEUE, EDGE_PACKAGING_WORKFLOW
from edgepack.jobs.known_archives import find_known, source_fingerprint
from edgepack.jobs.lifecycle import COMPLETED
from edgepack.jobs.presets import preset_of, publish_component
from edgepack.jobs.progress import Checkpoint
from edgepack.jobs.replacing import replace_holder
from edgepack.jobs.stored import abort_uploads, remove_written
from edgepack.jobs.transfer import package_object
from edgepack.jobs.transfer_destination import Destination
from edgepack.jobs.transfer_terms import PackagedObject, Signing, TransferProgress
from edgepack.jobs.workflow import JobWork, Step
from edgepack.objects.address import S3Address, parse_object_uri
from edgepack.objects.info import ObjectInfo
from edgepack.objects.store import ObjectStore
from edgepack.package.manifest import ModelIdentity, TargetPlatform
from edgepack.package.signature import Signer
from edgepack.package.trust import TrustRoots
from edgepack.telemetry.observers import UNOBSERVED, JobObserver

log = logging.getLogger(__name__)


class EdgePackagingWork(JobWork[EdgePackagingJob]):
    """Runs edge packaging jobs.

    Args:
        database: Where jobs and components are.
        store: Where compiled models are read and packages written.
        room: Whether the store's disk has room.
        signer: Signs packages.
        trust: The root that their signatures must lead to, when they are read back.
        clock: Microseconds since the epoch.
        observer: Told what the jobs do.
    """

    workflow: ClassVar[str] = EDGE_PACKAGING_WORKFLOW
    queue: ClassVar[str] = EDGE_PACKAGING_QUEUE

    def __init__(  # noqa: PLR0913 - keyword-only
        self,
        database: Database,
        *,
        store: ObjectStore,
        room: DiskRoom,
        signer: Signer,
        trust: TrustRoots,
        clock: Clock,
        observer: JobObserver = UNOBSERVED,
    ) -> None:
        super().__init__(database, edge_packaging_jobs, clock, observer=observer)
        self.store = store
        self.room = room
        self.signer = signer
        self.trust = trust

    def steps(self, attempt: Attempt[EdgePackagingJob]) -> Sequence[Step]:
        """Package, check, publish, complete."""
        run = _Run(self, attempt)
        return [
            ("package", run.package),
            ("check", run.check),
            ("publish", run.publish),
            ("complete", run.complete),
        ]

    def target(self, job: EdgePackagingJob) -> S3Address:
        """Where the package goes."""
        return target_of(job)

    def clean_up(self, attempt: Attempt[EdgePackagingJob]) -> None:
        """Delete the component that this job published, abort open uploads, delete the package that it wrote.

        The component goes first: a store that cannot be reached must not keep devices installing it.
        """
        target, arn = target_of(attempt.job), attempt.job.arn
        with attempt.transaction() as connection:
            components.remove_of(connection, arn)
        if remove_written(self.store, target, attempt):
            with attempt.transaction() as connection:
                replace_holder(connection, target.place, by=arn, stands=False, now=self.clock())

    def ending(self, status: str, message: str) -> dict[str, Any]:  # noqa: ARG002 - one kind of job needs it
        """The status message; Describe has no other member for a reason."""
        return {"status_message": message}


class _Run:
    """The steps of one attempt, and what each leaves for the next."""

    _source: ObjectInfo
    _progress: TransferProgress
    _packaged: PackagedObject
    _fingerprint: str | None
    _preset: EdgePresetDeploymentOutput | None = None

    def __init__(self, work: EdgePackagingWork, attempt: Attempt[EdgePackagingJob]) -> None:
        self._work = work
        self._attempt = attempt

    def package(self) -> None:
        work, attempt, job = self._work, self._attempt, self._attempt.job
        target = target_of(job)
        attempt.advance(status_message="Packaging: a worker has begun.")
        abort_uploads(work.store, target, attempt)
        replaces = work.store.find(target)
        source = work.store.head(parse_object_uri(job.compiled_model.artifact_uri))
        work.room.require(source.size)
        self._source = source
        checkpoint = Checkpoint(attempt, report=self._report)

        def tell(progress: TransferProgress) -> None:
            self._progress = progress
            attempt.bytes_read = progress.bytes_read
            checkpoint()

        self._packaged = package_object(
            store_in=work.store,
            source=source,
            written_etag=job.compiled_model.artifact_etag,
            destination=Destination(
                store=work.store,
                target=target,
                kms_key_id=job.output_config.kms_key_id or None,
                mark=attempt.mark,
                replaces=replaces,
                upload_opened=lambda upload_id: attempt.note_upload(target, upload_id),
                upload_closed=attempt.forget_upload,
                upload_in_doubt=lambda: attempt.note_leftover(target),
            ),
            signing=Signing(identity=_identity(job), signer=work.signer, signed_at=self._now()),
            checkpoint=tell,
            find_known=lambda: find_known(
                work.database, work.store, source, account_id=job.account_id, trust=work.trust, now=self._now()
            ),
        )
        attempt.bytes_written = self._packaged.info.size

    def check(self) -> None:
        self._attempt.advance(status_message="Checking the stored package.")
        check_stored(
            self._work.store,
            self._packaged,
            trust=self._work.trust,
            now=self._now(),
            kms_key_id=self._attempt.job.output_config.kms_key_id or None,
        )
        self._fingerprint = self._lasting_fingerprint()

    def publish(self) -> None:
        job = self._attempt.job
        if job.output_config.preset_deployment_type is None:
            return
        config = job.output_config.preset_deployment_config
        preset = preset_of(config, job_name=job.name, compiled=job.compiled_model)
        self._preset = publish_component(self._attempt, preset, artifact_uri=self._packaged.info.address.uri)

    def complete(self) -> None:
        arn, place, now = self._attempt.job.arn, target_of(self._attempt.job).place, self._work.clock()
        self._attempt.change(
            to=COMPLETED,
            status_message=_completed_message(self._packaged),
            source_fingerprint=self._fingerprint,
            within=lambda connection: replace_holder(connection, place, by=arn, stands=True, now=now),
            outcome={
                "model_artifact": self._packaged.info.address.uri,
                "model_signature": self._packaged.signature_bundle,
                "preset_deployment_output": self._preset,
            },
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._work.clock() / MICROSECONDS, UTC)

    def _lasting_fingerprint(self) -> str | None:
        """The source's fingerprint, if the body is the source's own and has not been written since it was looked at."""
        fingerprint = None if self._packaged.repacked else source_fingerprint(self._source)
        if fingerprint is None:
            return None
        try:
            self._work.store.require_unchanged(self._source)
        except StoreError as error:
            log.info("%s will be scanned anew if it is packaged again: %s", self._source.address, error.message)
            return None
        return fingerprint

    def _report(self) -> None:
        self._work.room.require()
        self._attempt.advance(status_message=_progress_message(self._progress))


def target_of(job: EdgePackagingJob) -> S3Address:
    """Where the package goes."""
    return S3Address(job.output_bucket, job.output_key)


def _identity(job: EdgePackagingJob) -> ModelIdentity:
    return ModelIdentity(
        model_name=job.model_name,
        model_version=job.model_version,
        target_device=job.compiled_model.target_device,
        target_platform=_platform(job.compiled_model.target_platform),
        compilation_job_name=job.compilation_job_name,
    )


def _platform(platform: contract.TargetPlatform | None) -> TargetPlatform | None:
    if platform is None:
        return None
    return TargetPlatform(os=platform.os, arch=platform.arch, accelerator=platform.accelerator)


def _progress_message(progress: TransferProgress) -> str:
    if progress.known_from is not None:
        return (
            f"Packaging: the store copies the model's {progress.bytes_total} bytes; their digests are those that edge "
            f"packaging job {progress.known_from!r} signed for the same object version."
        )
    percent = 100 * progress.bytes_read / max(1, progress.bytes_total)
    return f"Packaging: {percent:.0f} % of {progress.bytes_total} bytes read."


def _completed_message(packaged: PackagedObject) -> str:
    files = f"{packaged.file_count} file{'s' if packaged.file_count != 1 else ''}"
    message = f"Packaged and signed {files}; the stored package of {packaged.info.size} bytes has been checked."
    if packaged.known_from is None:
        return message
    return (
        f"{message} The model was not read anew: its digests are those that edge packaging job {packaged.known_from!r} "
        "signed for the same object version."
    )
