"""CreateEdgePackagingJob, DescribeEdgePackagingJob, ListEdgePackagingJobs and StopEdgePackagingJob."""

from edgepack.contract.fields import (
    EdgePackagingJobArn,
    EdgePackagingJobStatus,
    EdgePresetDeploymentArtifact,
    EdgePresetDeploymentStatus,
    EdgePresetDeploymentType,
    EdgeVersion,
    EntityName,
    KmsKeyId,
    ListEdgePackagingJobsSortBy,
    ListMaxResults,
    NameContains,
    NextToken,
    RoleArn,
    S3Uri,
    SortOrder,
    Timestamp,
)
from edgepack.contract.shapes import Shape
from edgepack.contract.tags import TagList


class EdgeOutputConfig(Shape, frozen=True, kw_only=True):
    """Where the package goes and what is made of it (API_EdgeOutputConfig.html)."""

    s3_output_location: S3Uri
    kms_key_id: KmsKeyId | None = None
    preset_deployment_type: EdgePresetDeploymentType | None = None
    preset_deployment_config: str | None = None


class EdgePresetDeploymentOutput(Shape, frozen=True, kw_only=True):
    """What became of the preset deployment (API_EdgePresetDeploymentOutput.html)."""

    type: EdgePresetDeploymentType
    artifact: EdgePresetDeploymentArtifact | None = None
    status: EdgePresetDeploymentStatus | None = None
    status_message: str | None = None


class CreateEdgePackagingJobRequest(Shape, frozen=True, kw_only=True):
    """Request of API_CreateEdgePackagingJob.html; the answer is empty."""

    edge_packaging_job_name: EntityName
    compilation_job_name: EntityName
    model_name: EntityName
    model_version: EdgeVersion
    role_arn: RoleArn
    output_config: EdgeOutputConfig
    resource_key: KmsKeyId | None = None
    tags: TagList | None = None


class DescribeEdgePackagingJobRequest(Shape, frozen=True, kw_only=True):
    """Request of API_DescribeEdgePackagingJob.html."""

    edge_packaging_job_name: EntityName


class DescribeEdgePackagingJobResponse(Shape, frozen=True, kw_only=True):
    """Response: the whole job."""

    edge_packaging_job_arn: EdgePackagingJobArn
    edge_packaging_job_name: EntityName
    compilation_job_name: EntityName | None = None
    model_name: EntityName | None = None
    model_version: EdgeVersion | None = None
    role_arn: RoleArn | None = None
    output_config: EdgeOutputConfig | None = None
    resource_key: KmsKeyId | None = None
    edge_packaging_job_status: EdgePackagingJobStatus
    edge_packaging_job_status_message: str | None = None
    creation_time: Timestamp | None = None
    last_modified_time: Timestamp | None = None
    model_artifact: S3Uri | None = None
    model_signature: str | None = None
    preset_deployment_output: EdgePresetDeploymentOutput | None = None


class ListEdgePackagingJobsRequest(Shape, frozen=True, kw_only=True):
    """Request of API_ListEdgePackagingJobs.html."""

    next_token: NextToken | None = None
    max_results: ListMaxResults | None = None
    creation_time_after: Timestamp | None = None
    creation_time_before: Timestamp | None = None
    last_modified_time_after: Timestamp | None = None
    last_modified_time_before: Timestamp | None = None
    name_contains: NameContains | None = None
    model_name_contains: NameContains | None = None
    status_equals: EdgePackagingJobStatus | None = None
    sort_by: ListEdgePackagingJobsSortBy | None = None
    sort_order: SortOrder | None = None


class EdgePackagingJobSummary(Shape, frozen=True, kw_only=True):
    """One job of a page (API_EdgePackagingJobSummary.html)."""

    edge_packaging_job_arn: EdgePackagingJobArn
    edge_packaging_job_name: EntityName
    edge_packaging_job_status: EdgePackagingJobStatus
    compilation_job_name: EntityName | None = None
    model_name: EntityName | None = None
    model_version: EdgeVersion | None = None
    creation_time: Timestamp | None = None
    last_modified_time: Timestamp | None = None


class ListEdgePackagingJobsResponse(Shape, frozen=True, kw_only=True):
    """Response: one page of jobs."""

    edge_packaging_job_summaries: list[EdgePackagingJobSummary]
    next_token: NextToken | None = None


class StopEdgePackagingJobRequest(Shape, frozen=True, kw_only=True):
    """Request of API_StopEdgePackagingJob.html; the answer is empty."""

    edge_packaging_job_name: EntityName
