"""What the queries return: one frozen record per row, typed, with times in microseconds since the epoch."""

import msgspec

from edgepack.contract.compilation_jobs import CreateCompilationJobRequest, TargetPlatform
from edgepack.contract.edge_packaging_jobs import EdgeOutputConfig
from edgepack.contract.fields import CompilationJobStatus, EdgePackagingJobStatus

MICROSECONDS = 1_000_000


def epoch_seconds(microseconds: int) -> float:
    """A stored time as AWS JSON 1.1 sends it: seconds since the epoch with a fraction."""
    return microseconds / MICROSECONDS


class CompiledModel(msgspec.Struct, frozen=True, kw_only=True):
    """What a compilation job has left.

    An edge packaging job keeps it from Create on: the compilation job may be deleted meanwhile, or its name be given to
    another one.

    Attributes:
        artifact_uri: The compiled archive.
        artifact_etag: Its ETag as the job wrote it.
        target_device: What it was compiled for, where the compilation job named a device.
        target_platform: Likewise, where it named a platform.
    """

    artifact_uri: str
    artifact_etag: str | None
    target_device: str | None
    target_platform: TargetPlatform | None


class EdgePackagingJob(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `edge_packaging_jobs`.

    Attributes:
        compiled_model: What to package.
        output_config: What the caller sent, verbatim.
        attempt: Number of the attempt that may write: 1, and one more each time the job is queued again.
        deaths: How many attempts ended with the death of their worker.
        turn: Waiting jobs are begun in the order of their turns (`JobTable.next_turn`).
        source_fingerprint: Which version of the compiled model the package's body is, byte for byte; None if there is
            no package, if another one has replaced it, or if it cannot be said for ever.
    """

    id: int
    account_id: str
    name: str
    arn: str
    status: EdgePackagingJobStatus
    status_message: str
    compilation_job_name: str
    compiled_model: CompiledModel
    model_name: str
    model_version: str
    role_arn: str
    output_config: EdgeOutputConfig
    resource_key: str | None
    output_bucket: str
    output_key: str
    created_at: int
    modified_at: int
    workflow_id: str
    attempt: int = 1
    deaths: int = 0
    turn: int = 1
    source_fingerprint: str | None = None


class CompilationJob(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `compilation_jobs`; what is not listed is as in `EdgePackagingJob`.

    Attributes:
        request: What the caller sent, verbatim.
        artifact_uri: Where the compiled archive is; empty before the job has completed, and when another job has
            replaced it.
        artifact_etag: The ETag of the compiled archive as the job wrote it.
    """

    id: int
    account_id: str
    name: str
    arn: str
    status: CompilationJobStatus
    failure_reason: str
    request: CreateCompilationJobRequest
    artifact_uri: str
    artifact_digest: str | None
    artifact_etag: str | None
    created_at: int
    modified_at: int
    started_at: int | None
    ended_at: int | None
    workflow_id: str
    attempt: int = 1
    deaths: int = 0
    turn: int = 1

    @property
    def compiled_model(self) -> CompiledModel | None:
        """What the job has left; None if that is nothing, or is there no more."""
        if not self.artifact_uri:
            return None
        output = self.request.output_config
        return CompiledModel(
            artifact_uri=self.artifact_uri,
            artifact_etag=self.artifact_etag,
            target_device=output.target_device,
            target_platform=output.target_platform,
        )


class OpenUpload(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `uploads`: a multipart upload that a job has begun and, as far as is known, not ended.

    Attributes:
        owner_arn: The job.
        attempt: The attempt that began it.
    """

    upload_id: str
    owner_arn: str
    attempt: int
    bucket: str
    key: str


class Leftover(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `leftovers`: where a job may have left something that no list tells.

    Attributes:
        owner_arn: The job.
        owner_created_at: When it was created: a deleted job's name may be used again.
        noted_at: When that was noted, by the database's clock.
    """

    owner_arn: str
    owner_created_at: int
    bucket: str
    key: str
    noted_at: int


class AccessKey(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `access_keys`; the secret is sealed, and only the service unseals it."""

    access_key_id: str
    account_id: str
    principal_arn: str
    principal_id: str
    sealed_secret: bytes
    token_sha256: bytes | None
    created_at: int
    expires_at: int | None


class ComponentVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `component_versions`: a Greengrass component version and its recipe (JSON)."""

    arn: str
    account_id: str
    name: str
    version: str
    recipe: bytes
    source_arn: str
    created_at: int
