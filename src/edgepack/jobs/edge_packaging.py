"""The edge packaging job: resolve the compilation job → package → check what is stored → publish → complete.

Scanning, hashing, signing and writing are one step, because they share one pass over the bytes: the source is read
once, and the parts of the package are on their way while it is being hashed (docs/adr/0003).
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec

from edgepack.contract import compilation_jobs as contract
from edgepack.contract.edge_packaging_jobs import EdgePresetDeploymentOutput
from edgepack.database import components
from edgepack.database.compilation_jobs import compilation_jobs
from edgepack.database.edge_packaging_jobs import edge_packaging_jobs
from edgepack.database.engine import Database
from edgepack.database.records import MICROSECONDS, CompilationJob, EdgePackagingJob
from edgepack.errors import RequestError
from edgepack.jobs.disk_room import DiskRoom
from edgepack.jobs.engine import EDGE_PACKAGING_QUEUE, EDGE_PACKAGING_WORKFLOW
from edgepack.jobs.lifecycle import COMPLETED
from edgepack.jobs.presets import preset_of, publish_component
from edgepack.jobs.progress import Pulse
from edgepack.jobs.stored import remove_written
from edgepack.jobs.transfer import PackagedObject, Signing, TransferProgress, check_stored, package_object
from edgepack.jobs.transfer_writers import Destination
from edgepack.jobs.workflow import Clock, Facts, JobWork
from edgepack.objects.address import S3Address, parse_object_uri
from edgepack.objects.info import ObjectInfo
from edgepack.objects.store import ObjectStore
from edgepack.package.manifest import ModelIdentity, TargetPlatform
from edgepack.package.signature import Signer
from edgepack.package.trust import TrustRoots


class CompilationJobGoneError(RequestError):
    """The compilation job was deleted between Create and the job's start."""

    code = "CompilationJobGone"
    advice = "Create the edge packaging job again with a compilation job that is COMPLETED."


class EdgePackagingWork(JobWork[EdgePackagingJob]):
    """Runs edge packaging jobs.

    Args:
        database: Where jobs and components are.
        store: Where compiled models are read and packages written.
        room: Whether the store's disk has room.
        signer: Signs packages.
        trust: The root that their signatures must lead to, when they are read back.
        clock: Microseconds since the epoch.
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
    ) -> None:
        super().__init__(database, edge_packaging_jobs, clock)
        self._store = store
        self._room = room
        self._signer = signer
        self._trust = trust

    def steps(self) -> list[tuple[str, Callable[[EdgePackagingJob, Facts], Facts]]]:
        """The steps in order; each may run twice and leave one result."""
        return [
            ("resolve", self._resolve),
            ("package", self._package),
            ("check", self._check),
            ("publish", self._publish),
            ("complete", self._complete),
        ]

    def clean_up(self, job: EdgePackagingJob) -> None:
        """Abort the open upload, delete the package and the component that this job wrote."""
        remove_written(
            self._store, S3Address(job.output_bucket, job.output_key), upload_id=job.upload_id, owner=job.arn
        )
        with self.database.write() as connection:
            components.remove_of(connection, job.arn)

    def ending(self, status: str, message: str) -> dict[str, Any]:  # noqa: ARG002 - one kind of job needs it
        """The status message; Describe has no other member for a reason."""
        return {"status_message": message}

    def _resolve(self, job: EdgePackagingJob, _facts: Facts) -> Facts:
        job = self.advance(job, status_message=f"Looking up compilation job {job.compilation_job_name}.")
        with self.database.read() as connection:
            compiled = compilation_jobs.named(connection, job.account_id, job.compilation_job_name)
        if compiled is None or compiled.status != COMPLETED:
            raise CompilationJobGoneError(f"Compilation job {job.compilation_job_name} is no longer there.")
        facts = {"source": compiled.artifact_uri, "identity": msgspec.to_builtins(_identity(job, compiled))}
        return facts | {"compiled": msgspec.to_builtins(compiled.request)}

    def _package(self, job: EdgePackagingJob, facts: Facts) -> Facts:
        target = S3Address(job.output_bucket, job.output_key)
        if job.upload_id is not None:
            self._store.abort_upload(target, job.upload_id)
        source = self._store.head(parse_object_uri(facts["source"]))
        self._room.require(source.size)
        pulse = Pulse(self, job, report=lambda fraction: self._report(job, source, fraction))

        def checkpoint(progress: TransferProgress) -> None:
            pulse(progress.bytes_read / max(1, progress.bytes_total))

        packaged = package_object(
            store_in=self._store,
            source=source,
            destination=Destination(
                store=self._store,
                target=target,
                kms_key_id=job.output_config.kms_key_id,
                owner=job.arn,
                upload_opened=lambda upload_id: self._note_upload(job, upload_id),
            ),
            signing=Signing(
                identity=msgspec.convert(facts["identity"], ModelIdentity), signer=self._signer, signed_at=self._now()
            ),
            checkpoint=checkpoint,
        )
        return {"packaged": msgspec.to_builtins(packaged)}

    def _check(self, job: EdgePackagingJob, facts: Facts) -> Facts:
        self.advance(job, status_message="Checking the stored package.")
        packaged = msgspec.convert(facts["packaged"], PackagedObject)
        check_stored(self._store, packaged, trust=self._trust, now=self._now(), kms_key_id=job.output_config.kms_key_id)
        return {}

    def _publish(self, job: EdgePackagingJob, facts: Facts) -> Facts:
        if job.output_config.preset_deployment_type is None:
            return {"preset": None}
        config = job.output_config.preset_deployment_config
        compiled = msgspec.convert(facts["compiled"], contract.CreateCompilationJobRequest)
        preset = preset_of(config, job_name=job.name, compiled=compiled)
        artifact = msgspec.convert(facts["packaged"], PackagedObject).info.address.uri
        output = publish_component(self.database, job, preset, artifact_uri=artifact, now=self.clock())
        return {"preset": msgspec.to_builtins(output)}

    def _complete(self, job: EdgePackagingJob, facts: Facts) -> Facts:
        packaged = msgspec.convert(facts["packaged"], PackagedObject)
        preset = facts["preset"]
        self.change(
            job,
            to=COMPLETED,
            status_message=_completed_message(packaged),
            upload_id=None,
            outcome={
                "model_artifact": packaged.info.address.uri,
                "model_signature": packaged.signature_bundle,
                "preset_deployment_output": preset and msgspec.convert(preset, EdgePresetDeploymentOutput),
            },
        )
        return {}

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock() / MICROSECONDS, UTC)

    def _report(self, job: EdgePackagingJob, source: ObjectInfo, fraction: float) -> None:
        self._room.require()
        message = f"Packaging: {100 * fraction:.0f} % of {source.size} bytes read."
        self.advance(job, status_message=message)

    def _note_upload(self, job: EdgePackagingJob, upload_id: str) -> None:
        with self.database.write() as connection:
            self.jobs.note(connection, job.id, upload_id=upload_id)


def _identity(job: EdgePackagingJob, compiled: CompilationJob) -> ModelIdentity:
    output = compiled.request.output_config
    return ModelIdentity(
        model_name=job.model_name,
        model_version=job.model_version,
        target_device=output.target_device,
        target_platform=_platform(output.target_platform),
        compilation_job_name=job.compilation_job_name,
    )


def _platform(platform: contract.TargetPlatform | None) -> TargetPlatform | None:
    if platform is None:
        return None
    return TargetPlatform(os=platform.os, arch=platform.arch, accelerator=platform.accelerator)


def _completed_message(packaged: PackagedObject) -> str:
    files = f"{packaged.file_count} file{'s' if packaged.file_count != 1 else ''}"
    return f"Packaged and signed {files}; the stored package of {packaged.info.size} bytes has been checked."
