"""ARNs of what edgepack keeps: built and taken apart.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html and
list_awsiotgreengrassv2.html there.
"""

import re
from dataclasses import dataclass

PARTITION = "aws"

EDGE_PACKAGING_JOB = "edge-packaging-job"
COMPILATION_JOB = "compilation-job"

_SAGEMAKER_ARN = re.compile(
    r"arn:aws:sagemaker:(?P<region>[a-z0-9-]+):(?P<account_id>[0-9]{12}):(?P<kind>[a-z-]+)/(?P<name>[A-Za-z0-9-]+)"
)


@dataclass(frozen=True, slots=True)
class ResourceArn:
    """The parts of a SageMaker resource's ARN.

    Attributes:
        region: Of the resource.
        account_id: 12 digits.
        kind: For example `edge-packaging-job`.
        name: The resource's name.
    """

    region: str
    account_id: str
    kind: str
    name: str


def edge_packaging_job_arn(region: str, account_id: str, name: str) -> str:
    """The ARN of an edge packaging job."""
    return f"arn:{PARTITION}:sagemaker:{region}:{account_id}:{EDGE_PACKAGING_JOB}/{name}"


def compilation_job_arn(region: str, account_id: str, name: str) -> str:
    """The ARN of a compilation job."""
    return f"arn:{PARTITION}:sagemaker:{region}:{account_id}:{COMPILATION_JOB}/{name}"


def component_version_arn(region: str, account_id: str, name: str, version: str) -> str:
    """The ARN of a Greengrass component version."""
    return f"arn:{PARTITION}:greengrass:{region}:{account_id}:components:{name}:versions:{version}"


def parse_arn(arn: str) -> ResourceArn | None:
    """The parts of a SageMaker resource's ARN, or None for anything else."""
    match = _SAGEMAKER_ARN.fullmatch(arn)
    return ResourceArn(**match.groupdict()) if match else None
