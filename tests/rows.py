"""Rows of jobs, for tests that need no server."""

from typing import Any

import msgspec

from edgepack.contract.compilation_jobs import TargetPlatform
from edgepack.database.records import CompiledModel

COMPILED_MODEL = msgspec.json.encode(
    CompiledModel(
        artifact_uri="s3://b/compiled/model-LINUX_ARM64.tar.gz",
        artifact_etag="etag",
        target_device=None,
        target_platform=TargetPlatform(os="LINUX", arch="ARM64"),
    )
)


def packaging_row(
    name: str, *, account_id: str = "000000000000", region: str = "us-east-1", **changes: Any
) -> dict[str, Any]:
    """An edge packaging job as Create writes it."""
    return {
        "account_id": account_id,
        "name": name,
        "arn": f"arn:aws:sagemaker:{region}:{account_id}:edge-packaging-job/{name}",
        "status": "STARTING",
        "status_message": "Waiting.",
        "compilation_job_name": "compiled",
        "compiled_model": COMPILED_MODEL,
        "model_name": "m1",
        "model_version": "1.0",
        "role_arn": "arn:aws:iam::000000000000:role/r",
        "output_config": b'{"S3OutputLocation":"s3://b/o"}',
        "output_bucket": "b",
        "output_key": f"o/{name}",
        "created_at": 1_000_000,
        "modified_at": 1_500_000,
        "workflow_id": f"w-{account_id}-{name}",
    } | changes


def compilation_row(name: str, *, account_id: str = "000000000000", **changes: Any) -> dict[str, Any]:
    """A compilation job as Create writes it."""
    return {
        "account_id": account_id,
        "name": name,
        "arn": f"arn:aws:sagemaker:us-east-1:{account_id}:compilation-job/{name}",
        "status": "STARTING",
        "request": b'{"CompilationJobName":"c","RoleArn":"arn:aws:iam::000000000000:role/r",'
        b'"InputConfig":{"S3Uri":"s3://models/in/model.tar.gz","Framework":"ONNX"},'
        b'"OutputConfig":{"S3OutputLocation":"s3://models/compiled","TargetDevice":"ml_c5"},"StoppingCondition":{}}',
        "created_at": 1_000_000,
        "modified_at": 1_500_000,
        "workflow_id": f"w-{account_id}-{name}",
    } | changes
