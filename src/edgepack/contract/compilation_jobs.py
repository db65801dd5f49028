"""CreateCompilationJob, DescribeCompilationJob, ListCompilationJobs, StopCompilationJob and DeleteCompilationJob."""

from edgepack.contract.fields import (
    ArtifactDigest,
    CompilationJobArn,
    CompilationJobStatus,
    CompilerOptions,
    DataInputConfig,
    EntityName,
    FailureReason,
    Framework,
    FrameworkVersion,
    InferenceImage,
    KmsKeyId,
    ListCompilationJobsSortBy,
    MaxPendingTimeInSeconds,
    MaxResults,
    MaxRuntimeInSeconds,
    MaxWaitTimeInSeconds,
    ModelPackageArn,
    NameContains,
    NeoVpcSecurityGroupIds,
    NeoVpcSubnets,
    NextToken,
    RoleArn,
    S3Uri,
    SortOrder,
    TargetDevice,
    TargetPlatformAccelerator,
    TargetPlatformArch,
    TargetPlatformOs,
    Timestamp,
)
from edgepack.contract.shapes import Shape
from edgepack.contract.tags import TagList


class InputConfig(Shape, frozen=True, kw_only=True):
    """The model to compile (API_InputConfig.html)."""

    s3_uri: S3Uri
    data_input_config: DataInputConfig | None = None
    framework: Framework
    framework_version: FrameworkVersion | None = None


class TargetPlatform(Shape, frozen=True, kw_only=True):
    """What to compile for, by its parts (API_TargetPlatform.html)."""

    os: TargetPlatformOs
    arch: TargetPlatformArch
    accelerator: TargetPlatformAccelerator | None = None


class OutputConfig(Shape, frozen=True, kw_only=True):
    """Where the compiled model goes and what it is for (API_OutputConfig.html)."""

    s3_output_location: S3Uri
    target_device: TargetDevice | None = None
    target_platform: TargetPlatform | None = None
    compiler_options: CompilerOptions | None = None
    kms_key_id: KmsKeyId | None = None


class NeoVpcConfig(Shape, frozen=True, kw_only=True):
    """The network that AWS's compiler ran in (API_NeoVpcConfig.html)."""

    security_group_ids: NeoVpcSecurityGroupIds
    subnets: NeoVpcSubnets


class StoppingCondition(Shape, frozen=True, kw_only=True):
    """How long a job may take, in seconds (API_StoppingCondition.html)."""

    max_runtime_in_seconds: MaxRuntimeInSeconds | None = None
    max_wait_time_in_seconds: MaxWaitTimeInSeconds | None = None
    max_pending_time_in_seconds: MaxPendingTimeInSeconds | None = None


class ModelArtifacts(Shape, frozen=True, kw_only=True):
    """Where the compiled model is (API_ModelArtifacts.html)."""

    s3_model_artifacts: S3Uri


class ModelDigests(Shape, frozen=True, kw_only=True):
    """The compiled model's digest (API_ModelDigests.html)."""

    artifact_digest: ArtifactDigest | None = None


class DerivedInformation(Shape, frozen=True, kw_only=True):
    """What the compiler found out by itself (API_DerivedInformation.html)."""

    derived_data_input_config: DataInputConfig | None = None


class CreateCompilationJobRequest(Shape, frozen=True, kw_only=True):
    """Request of API_CreateCompilationJob.html."""

    compilation_job_name: EntityName
    role_arn: RoleArn
    model_package_version_arn: ModelPackageArn | None = None
    input_config: InputConfig | None = None
    output_config: OutputConfig
    vpc_config: NeoVpcConfig | None = None
    stopping_condition: StoppingCondition
    tags: TagList | None = None


class CreateCompilationJobResponse(Shape, frozen=True, kw_only=True):
    """Response: the new job's ARN."""

    compilation_job_arn: CompilationJobArn


class DescribeCompilationJobRequest(Shape, frozen=True, kw_only=True):
    """Request of API_DescribeCompilationJob.html."""

    compilation_job_name: EntityName


class DescribeCompilationJobResponse(Shape, frozen=True, kw_only=True):
    """Response: the whole job."""

    compilation_job_name: EntityName
    compilation_job_arn: CompilationJobArn
    compilation_job_status: CompilationJobStatus
    compilation_start_time: Timestamp | None = None
    compilation_end_time: Timestamp | None = None
    stopping_condition: StoppingCondition
    inference_image: InferenceImage | None = None
    model_package_version_arn: ModelPackageArn | None = None
    creation_time: Timestamp
    last_modified_time: Timestamp
    failure_reason: FailureReason
    model_artifacts: ModelArtifacts
    model_digests: ModelDigests | None = None
    role_arn: RoleArn
    input_config: InputConfig
    output_config: OutputConfig
    vpc_config: NeoVpcConfig | None = None
    derived_information: DerivedInformation | None = None


class ListCompilationJobsRequest(Shape, frozen=True, kw_only=True):
    """Request of API_ListCompilationJobs.html."""

    next_token: NextToken | None = None
    max_results: MaxResults | None = None
    creation_time_after: Timestamp | None = None
    creation_time_before: Timestamp | None = None
    last_modified_time_after: Timestamp | None = None
    last_modified_time_before: Timestamp | None = None
    name_contains: NameContains | None = None
    status_equals: CompilationJobStatus | None = None
    sort_by: ListCompilationJobsSortBy | None = None
    sort_order: SortOrder | None = None


class CompilationJobSummary(Shape, frozen=True, kw_only=True):
    """One job of a page (API_CompilationJobSummary.html)."""

    compilation_job_name: EntityName
    compilation_job_arn: CompilationJobArn
    creation_time: Timestamp
    compilation_start_time: Timestamp | None = None
    compilation_end_time: Timestamp | None = None
    compilation_target_device: TargetDevice | None = None
    compilation_target_platform_os: TargetPlatformOs | None = None
    compilation_target_platform_arch: TargetPlatformArch | None = None
    compilation_target_platform_accelerator: TargetPlatformAccelerator | None = None
    last_modified_time: Timestamp | None = None
    compilation_job_status: CompilationJobStatus


class ListCompilationJobsResponse(Shape, frozen=True, kw_only=True):
    """Response: one page of jobs."""

    compilation_job_summaries: list[CompilationJobSummary]
    next_token: NextToken | None = None


class StopCompilationJobRequest(Shape, frozen=True, kw_only=True):
    """Request of API_StopCompilationJob.html; the answer is empty."""

    compilation_job_name: EntityName


class DeleteCompilationJobRequest(Shape, frozen=True, kw_only=True):
    """Request of API_DeleteCompilationJob.html; the answer is empty."""

    compilation_job_name: EntityName
