"""The operations that are served: the name, the service and the shapes of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from edgepack.contract import compilation_jobs, edge_packaging_jobs, security_tokens, tags
from edgepack.contract.known_operations import KNOWN_OPERATIONS
from edgepack.contract.shapes import Shape

__all__ = ["KNOWN_OPERATIONS", "OPERATIONS", "Operation"]

Service = Literal["sagemaker", "sts"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API.

    Attributes:
        name: As AWS names it.
        service: The service's signing name.
        request: Its input shape.
        response: Its output shape, or None where AWS answers with an empty body.
    """

    name: str
    service: Service
    request: type[Shape]
    response: type[Shape] | None = None


_SERVED = (
    Operation("CreateEdgePackagingJob", "sagemaker", edge_packaging_jobs.CreateEdgePackagingJobRequest),
    Operation(
        "DescribeEdgePackagingJob",
        "sagemaker",
        edge_packaging_jobs.DescribeEdgePackagingJobRequest,
        edge_packaging_jobs.DescribeEdgePackagingJobResponse,
    ),
    Operation(
        "ListEdgePackagingJobs",
        "sagemaker",
        edge_packaging_jobs.ListEdgePackagingJobsRequest,
        edge_packaging_jobs.ListEdgePackagingJobsResponse,
    ),
    Operation("StopEdgePackagingJob", "sagemaker", edge_packaging_jobs.StopEdgePackagingJobRequest),
    Operation(
        "CreateCompilationJob",
        "sagemaker",
        compilation_jobs.CreateCompilationJobRequest,
        compilation_jobs.CreateCompilationJobResponse,
    ),
    Operation(
        "DescribeCompilationJob",
        "sagemaker",
        compilation_jobs.DescribeCompilationJobRequest,
        compilation_jobs.DescribeCompilationJobResponse,
    ),
    Operation(
        "ListCompilationJobs",
        "sagemaker",
        compilation_jobs.ListCompilationJobsRequest,
        compilation_jobs.ListCompilationJobsResponse,
    ),
    Operation("StopCompilationJob", "sagemaker", compilation_jobs.StopCompilationJobRequest),
    Operation("DeleteCompilationJob", "sagemaker", compilation_jobs.DeleteCompilationJobRequest),
    Operation("AddTags", "sagemaker", tags.AddTagsInput, tags.AddTagsOutput),
    Operation("ListTags", "sagemaker", tags.ListTagsInput, tags.ListTagsOutput),
    Operation("DeleteTags", "sagemaker", tags.DeleteTagsInput, tags.DeleteTagsOutput),
    Operation(
        "GetCallerIdentity",
        "sts",
        security_tokens.GetCallerIdentityRequest,
        security_tokens.GetCallerIdentityResponse,
    ),
    Operation("AssumeRole", "sts", security_tokens.AssumeRoleRequest, security_tokens.AssumeRoleResponse),
)

OPERATIONS: Final[Mapping[str, Operation]] = {operation.name: operation for operation in _SERVED}
"""By name."""
