"""Jobs that wait for a worker: what becomes of their compiled model meanwhile, and whose is begun first."""

import io
import tarfile
from pathlib import Path

import pytest

from driving import (
    BUCKET,
    client_with,
    compiled,
    create_compilation,
    create_packaging,
    describe_compilation,
    describe_packaging,
    fetched,
    key_of,
    put,
)
from harness import RunningServer, start_server, wait_for, worker_beside
from models import tar_gz

pytestmark = pytest.mark.server


def packaged_model(server: RunningServer, name: str) -> bytes:
    """The only file of the package that a job has made."""
    found = wait_for(lambda: describe_packaging(server, name), "EdgePackagingJobStatus")
    assert found["EdgePackagingJobStatus"] == "COMPLETED", found
    with tarfile.open(fileobj=io.BytesIO(fetched(server, found["ModelArtifact"]))) as tar:
        member = tar.extractfile("compiled.so")
        assert member is not None
        return member.read()


def test_a_job_packages_the_model_that_it_was_created_for(tmp_path: Path, server_database: str | None) -> None:
    server = start_server(tmp_path / "data", "--workers", "0", database=server_database)
    sagemaker, log = server.client("sagemaker"), tmp_path / "worker.log"
    try:
        with worker_beside(server, log):
            for name in ("deleted", "made-again"):
                compiled(server, name, tar_gz({"compiled.so": name.encode()}))
        for name in ("deleted", "made-again"):
            create_packaging(server, name, name)
            sagemaker.delete_compilation_job(CompilationJobName=name)
        uri = put(server, "in/another.tar.gz", tar_gz({"compiled.so": b"another model"}))
        create_compilation(
            server,
            "made-again",
            uri,
            OutputConfig={
                "S3OutputLocation": f"s3://{BUCKET}/another",
                "TargetDevice": "rasp4b",
                "CompilerOptions": '{"compiler": "none"}',
            },
        )
        with worker_beside(server, log):
            wait_for(
                lambda: sagemaker.describe_compilation_job(CompilationJobName="made-again"), "CompilationJobStatus"
            )
            for name in ("deleted", "made-again"):
                assert packaged_model(server, name) == name.encode()
    finally:
        server.stop()


def test_an_account_with_many_jobs_does_not_keep_another_one_waiting(
    tmp_path: Path, server_database: str | None
) -> None:
    server = start_server(tmp_path / "data", "--workers", "0", database=server_database)
    try:
        other = client_with(server, "sagemaker", key_of(server, "111111111111"))
        for number in range(6):
            create_compilation(server, f"many-{number}", f"s3://{BUCKET}/none.tar.gz")
        other.create_compilation_job(
            CompilationJobName="one",
            RoleArn="arn:aws:iam::111111111111:role/r",
            InputConfig={"S3Uri": f"s3://{BUCKET}/none.tar.gz", "Framework": "PYTORCH"},
            OutputConfig={"S3OutputLocation": f"s3://{BUCKET}/one", "TargetDevice": "ml_c5"},
            StoppingCondition={},
        )
        with worker_beside(server, tmp_path / "worker.log"):
            ended = [
                wait_for(lambda name=name: describe_compilation(server, name), "CompilationJobStatus")  # type: ignore[misc]
                for name in [f"many-{number}" for number in range(6)]
            ]
            one = wait_for(lambda: other.describe_compilation_job(CompilationJobName="one"), "CompilationJobStatus")
        earlier = [job for job in ended if job["CompilationEndTime"] < one["CompilationEndTime"]]
        assert len(earlier) == 1
    finally:
        server.stop()
