"""The types of members, with their limits as data.

Names, lengths, patterns and enums are those of the API references of SageMaker and the Security Token Service, in the
versions below.
"""

from typing import Annotated, Literal

import msgspec

SAGEMAKER_API_VERSION = "2017-07-24"
STS_API_VERSION = "2011-06-15"

AWS_PATTERN = "aws_pattern"
"""Key in a type's extra data under which the pattern stands as AWS prints it."""

_TAG_CHARACTERS = r"[\p{L}\p{Z}\p{N}_.:/=+\-@]"
_TAG_CHARACTERS_IN_PYTHON = r"(?u:\w|[\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000.:/=+\-@])"
"""The same set for Python's `re`, which has no `\\p`: letters, numbers and the underscore are `\\w`; `\\p{Z}` is
spelt out."""


def text(least: int | None = None, most: int | None = None, pattern: str | None = None) -> msgspec.Meta:
    """Limits of a string.

    Args:
        least: Fewest characters.
        most: Most characters.
        pattern: AWS's regular expression. AWS matches the whole value, with ASCII classes.
    """
    if pattern is None:
        return msgspec.Meta(min_length=least, max_length=most)
    return msgspec.Meta(min_length=least, max_length=most, pattern=_in_python(pattern), extra={AWS_PATTERN: pattern})


def _in_python(pattern: str) -> str:
    # `\Z`, because Python's `$` would let a final newline pass.
    return rf"\A(?a:{pattern.replace(_TAG_CHARACTERS, _TAG_CHARACTERS_IN_PYTHON)})\Z"


Timestamp = float
"""Seconds since the epoch, with a fraction."""

# Both kinds of jobs
EntityName = Annotated[str, text(1, 63, r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")]
RoleArn = Annotated[str, text(20, 2048, r"arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")]
S3Uri = Annotated[str, text(0, 1024, r"(https|s3)://([^/]+)/?(.*)")]
KmsKeyId = Annotated[str, text(0, 2048, r"[a-zA-Z0-9:/_-]*")]
NextToken = Annotated[str, text(0, 8192, r".*")]
NameContains = Annotated[str, text(0, 63, r"[a-zA-Z0-9\-]+")]
SortOrder = Literal["Ascending", "Descending"]

# Edge packaging jobs
EdgeVersion = Annotated[str, text(1, 30, r"[a-zA-Z0-9\ \_\.]+")]
EdgePackagingJobArn = Annotated[
    str, text(20, 2048, r"arn:aws[a-z\-]*:sagemaker:[a-z\-]*:\d{12}:edge-packaging-job/?[a-zA-Z_0-9+=,.@\-_/]+")
]
EdgePackagingJobStatus = Literal["STARTING", "INPROGRESS", "COMPLETED", "FAILED", "STOPPING", "STOPPED"]
EdgePresetDeploymentType = Literal["GreengrassV2Component"]
EdgePresetDeploymentStatus = Literal["COMPLETED", "FAILED"]
EdgePresetDeploymentArtifact = Annotated[str, text(20, 2048)]
ListEdgePackagingJobsSortBy = Literal["NAME", "MODEL_NAME", "CREATION_TIME", "LAST_MODIFIED_TIME", "STATUS"]
ListMaxResults = Annotated[int, msgspec.Meta(le=100)]

# Compilation jobs
CompilationJobArn = Annotated[str, text(0, 256, r"arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:compilation-job/.*")]
CompilationJobStatus = Literal["INPROGRESS", "COMPLETED", "FAILED", "STARTING", "STOPPING", "STOPPED"]
ModelPackageArn = Annotated[
    str, text(1, 2048, r"arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]{9,16}:[0-9]{12}:model-package/[\S]{1,2048}")
]
DataInputConfig = Annotated[str, text(1, 16384, r"[\S\s]+")]
Framework = Literal["TENSORFLOW", "KERAS", "MXNET", "ONNX", "PYTORCH", "XGBOOST", "TFLITE", "DARKNET", "SKLEARN"]
FrameworkVersion = Annotated[str, text(3, 10, r"[0-9]\.[A-Za-z0-9.]+")]
TargetDevice = Literal[
    "lambda", "ml_m4", "ml_m5", "ml_m6g", "ml_c4", "ml_c5", "ml_c6g", "ml_p2", "ml_p3", "ml_g4dn", "ml_inf1",
    "ml_inf2", "ml_trn1", "ml_eia2", "jetson_tx1", "jetson_tx2", "jetson_nano", "jetson_xavier", "rasp3b", "rasp4b",
    "imx8qm", "deeplens", "rk3399", "rk3288", "aisage", "sbe_c", "qcs605", "qcs603", "sitara_am57x", "amba_cv2",
    "amba_cv22", "amba_cv25", "x86_win32", "x86_win64", "coreml", "jacinto_tda4vm", "imx8mplus",
]  # fmt: skip
TargetPlatformOs = Literal["ANDROID", "LINUX"]
TargetPlatformArch = Literal["X86_64", "X86", "ARM64", "ARM_EABI", "ARM_EABIHF"]
TargetPlatformAccelerator = Literal["INTEL_GRAPHICS", "MALI", "NVIDIA", "NNA"]
CompilerOptions = Annotated[str, text(3, 1024, r".*")]
NeoVpcSecurityGroupId = Annotated[str, text(0, 32, r"[-0-9a-zA-Z]+")]
NeoVpcSecurityGroupIds = Annotated[list[NeoVpcSecurityGroupId], msgspec.Meta(min_length=1, max_length=5)]
NeoVpcSubnetId = Annotated[str, text(0, 32, r"[-0-9a-zA-Z]+")]
NeoVpcSubnets = Annotated[list[NeoVpcSubnetId], msgspec.Meta(min_length=1, max_length=16)]
MaxRuntimeInSeconds = Annotated[int, msgspec.Meta(ge=1)]
MaxWaitTimeInSeconds = Annotated[int, msgspec.Meta(ge=1)]
MaxPendingTimeInSeconds = Annotated[int, msgspec.Meta(ge=1800, le=2419200)]
InferenceImage = Annotated[str, text(0, 256)]
FailureReason = Annotated[str, text(0, 1024)]
ArtifactDigest = Annotated[str, text(pattern=r"[\w:]+")]
MaxResults = Annotated[int, msgspec.Meta(ge=1, le=100)]
ListCompilationJobsSortBy = Literal["Name", "CreationTime", "Status"]

FAILURE_REASON_MAX = 1024
"""Characters of a FailureReason (API_DescribeCompilationJob.html)."""

# Tags
ResourceArn = Annotated[str, text(0, 256, r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:[0-9]{12}:.+")]
TagKey = Annotated[str, text(1, 128, rf"({_TAG_CHARACTERS}*)")]
TagValue = Annotated[str, text(0, 256, rf"({_TAG_CHARACTERS}*)")]
TagKeyList = Annotated[list[TagKey], msgspec.Meta(min_length=1, max_length=50)]
ListTagsMaxResults = Annotated[int, msgspec.Meta(ge=50)]

# Security Token Service
AwsArn = Annotated[
    str,
    text(20, 2048, r"[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+"),
]
RoleSessionName = Annotated[str, text(2, 64, r"[\w+=,.@-]*")]
SessionPolicyDocument = Annotated[str, text(1, None, r"[\u0009\u000A\u000D\u0020-\u00FF]+")]
RoleDurationSeconds = Annotated[int, msgspec.Meta(ge=900, le=43200)]
SessionTagKey = Annotated[str, text(1, 128, rf"{_TAG_CHARACTERS}+")]
SessionTagValue = Annotated[str, text(0, 256, rf"{_TAG_CHARACTERS}*")]
SessionTagKeys = Annotated[list[SessionTagKey], msgspec.Meta(max_length=50)]
ExternalId = Annotated[str, text(2, 1224, r"[\w+=,.@:\/-]*")]
SerialNumber = Annotated[str, text(9, 256, r"[\w+=/:,.@-]*")]
TokenCode = Annotated[str, text(6, 6, r"[\d]*")]
SourceIdentity = Annotated[str, text(2, 256, r"[\w+=,.@-]*")]
ContextAssertion = Annotated[str, text(4, 3072)]
AccessKeyId = Annotated[str, text(16, 128, r"[\w]*")]
AssumedRoleId = Annotated[str, text(2, 193, r"[\w+=,.@:-]*")]
MinimumSessionTokenSize = Annotated[int, msgspec.Meta(ge=0, le=4096)]
NonNegativeInteger = Annotated[int, msgspec.Meta(ge=0)]
