"""What becomes of a job's compiled model while the job waits for a worker."""

import io
import tarfile
from pathlib import Path

import pytest

from driving import BUCKET, compiled, create_compilation, create_packaging, describe_packaging, fetched, put
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
