"""Jobs as a user of boto3 drives them."""

import contextlib
from typing import Any

import boto3

from edgepack.database.engine import Database
from edgepack.jobs.workflow import system_clock
from edgepack.keys.sealing import SecretBox
from edgepack.service.credentials import ensure_first_key
from edgepack.settings import load_settings
from harness import ROLE, RunningServer, wait_for
from models import compiled_archive

BUCKET = "models"


def key_of(server: RunningServer, account_id: str) -> tuple[str, str]:
    """An access key of another account, in the running server's database."""
    settings = load_settings({"data": str(server.data)}, environ=server.settings, folder=server.data)
    database = Database(settings.database_url)
    try:
        return ensure_first_key(database, SecretBox.open(server.data), account_id=account_id, now=system_clock())
    finally:
        database.close()


def client_with(server: RunningServer, service: str, key: tuple[str, str], token: str | None = None) -> Any:
    """A boto3 client with a key of its own."""
    session: Any = boto3.Session(
        aws_access_key_id=key[0], aws_secret_access_key=key[1], aws_session_token=token, region_name="us-east-1"
    )
    return session.client(service, endpoint_url=server.environment["AWS_ENDPOINT_URL_SAGEMAKER"])


def put(server: RunningServer, key: str, body: bytes, *, bucket: str = BUCKET) -> str:
    """Upload an object, making the bucket if need be; its URI."""
    s3 = server.client("s3")
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    return f"s3://{bucket}/{key}"


def fetched(server: RunningServer, uri: str) -> bytes:
    """Download an object."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body: bytes = server.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def create_compilation(server: RunningServer, name: str, uri: str, **changes: Any) -> dict[str, Any]:
    """Create a compilation job that passes an archive through, unless `changes` say otherwise."""
    request: dict[str, Any] = {
        "CompilationJobName": name,
        "RoleArn": ROLE,
        "InputConfig": {"S3Uri": uri, "Framework": "PYTORCH"},
        "OutputConfig": {
            "S3OutputLocation": f"s3://{BUCKET}/compiled/{name}",
            "TargetPlatform": {"Os": "LINUX", "Arch": "ARM64"},
            "CompilerOptions": '{"compiler": "none"}',
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    answer: dict[str, Any] = server.client("sagemaker").create_compilation_job(**request | changes)
    return answer


def describe_compilation(server: RunningServer, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = server.client("sagemaker").describe_compilation_job(CompilationJobName=name)
    return answer


def compiled(server: RunningServer, name: str, archive: bytes | None = None, **changes: Any) -> dict[str, Any]:
    """A COMPLETED compilation job of this archive; its description."""
    uri = put(server, f"in/{name}.tar.gz", compiled_archive() if archive is None else archive)
    create_compilation(server, name, uri, **changes)
    found = wait_for(lambda: describe_compilation(server, name), "CompilationJobStatus")
    assert found["CompilationJobStatus"] == "COMPLETED", found["FailureReason"]
    return found


def packaging_request(name: str, compilation: str, **changes: Any) -> dict[str, Any]:
    request: dict[str, Any] = {
        "EdgePackagingJobName": name,
        "CompilationJobName": compilation,
        "ModelName": name,
        "ModelVersion": "1.0",
        "RoleArn": ROLE,
        "OutputConfig": {"S3OutputLocation": f"s3://{BUCKET}/packaged"},
    }
    return request | changes


def create_packaging(server: RunningServer, name: str, compilation: str, **changes: Any) -> dict[str, Any]:
    request = packaging_request(name, compilation, **changes)
    answer: dict[str, Any] = server.client("sagemaker").create_edge_packaging_job(**request)
    return answer


def describe_packaging(server: RunningServer, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = server.client("sagemaker").describe_edge_packaging_job(EdgePackagingJobName=name)
    del answer["ResponseMetadata"]
    return answer


def packaged(server: RunningServer, name: str, compilation: str, **changes: Any) -> dict[str, Any]:
    """An edge packaging job that has ended; its description."""
    create_packaging(server, name, compilation, **changes)
    return wait_for(lambda: describe_packaging(server, name), "EdgePackagingJobStatus")


def nothing_left(server: RunningServer, prefix: str, *, bucket: str = BUCKET) -> bool:
    """Whether there is neither an object nor an open multipart upload under a prefix."""
    s3 = server.client("s3")
    objects = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    uploads = s3.list_multipart_uploads(Bucket=bucket, Prefix=prefix).get("Uploads", [])
    assert (objects, uploads) == ([], [])
    return True
